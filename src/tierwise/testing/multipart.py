"""Reads `multipart/form-data`, in which the SDKs send audio, images and other files."""

from __future__ import annotations

from email.message import Message
from typing import NamedTuple


class Form(NamedTuple):
    """A form that was sent."""

    fields: dict[str, str]
    """The last value of each field; `name[]` of a list keeps its brackets."""
    files: dict[str, bytes]


def read_form(content_type: str, body: bytes) -> Form | None:
    """The form in a body; None for a body of another type."""
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        return None
    form = Form({}, {})
    for part in body.split(b"--" + boundary.encode())[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        disposition = Message()
        for line in head.decode("utf-8", "replace").split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "content-disposition":
                disposition["content-disposition"] = value.strip()
        name = disposition.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            continue
        if disposition.get_param("filename", header="content-disposition") is None:
            form.fields[name] = content.decode("utf-8", "replace")
        else:
            form.files[name] = content
    return form
