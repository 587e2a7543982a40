from __future__ import annotations

from tierwise.testing.multipart import read_form

BODY = (
    b'--xyz\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
    b"ID3\r\n\x00--\r\n"
    b'--xyz\r\nContent-Disposition: form-data; name="include[]"\r\n\r\nlogprobs\r\n'
    b"--xyz--\r\n"
)


def test_fields_and_files() -> None:
    """Fields are texts, files are bytes as they were sent."""
    form = read_form("multipart/form-data; boundary=xyz", BODY)

    assert form is not None
    assert form.fields == {"model": "whisper-1", "include[]": "logprobs"}
    assert form.files == {"file": b"ID3\r\n\x00--"}


def test_other_bodies_are_no_forms() -> None:
    """JSON, and a form without a boundary, are left to others."""
    assert read_form("application/json", b"{}") is None
    assert read_form("multipart/form-data", BODY) is None
    assert read_form("", b"") is None


def test_broken_parts_are_left_out() -> None:
    """A part without a name holds nothing to find it by."""
    form = read_form("multipart/form-data; boundary=xyz", b"--xyz\r\n\r\nlost\r\n--xyz--\r\n")

    assert form is not None
    assert (form.fields, form.files) == ({}, {})
