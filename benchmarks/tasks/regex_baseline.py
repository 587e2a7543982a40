"""What most people write first: patterns of each task, counted. `evaluate.py` prints this baseline beside ours."""

from __future__ import annotations

import re

PATTERNS: dict[str, tuple[str, ...]] = {
    "classification": (
        r"\bclassif(?:y|ies|ication)\b",
        r"\bcategor(?:y|ize|ise|ies)\b",
        r"\blabels?\b",
        r"\bsentiment\b",
        r"\bspam\b",
        r"\bintent\b",
        r"\b(?:positive|negative)\b",
        r"\btrue or false\b",
        r"\byes or no\b",
        r"\bwhich (?:one )?of the following\b",
        r"\brate\b.{0,40}\b(?:1|one)\b",
        r"\bbetter (?:answer|response)\b",
        r"\bis (?:this|it)\b.{0,60}\bor\b",
    ),
    "extraction": (
        r"\bextract\b",
        r"\bentit(?:y|ies)\b",
        r"\bpull out\b",
        r"\bparse\b",
        r"\bfields?\b",
        r"\bkeywords?\b",
        r"\b(?:list|find|identify) all\b",
        r"\bmentioned\b",
        r"\binvoice\b",
        r"\bjson\b",
    ),
    "summarization": (
        r"\bsummar(?:y|ize|ise|ies|izing)\b",
        r"\btl;?dr\b",
        r"\bkey (?:points|takeaways)\b",
        r"\bcondense\b",
        r"\bin (?:one|a few|two|three) sentences?\b",
        r"\bheadline\b",
        r"\babstract\b",
    ),
    "question_answering_context": (
        r"\bcontext\b",
        r"\bpassage\b",
        r"\baccording to\b",
        r"\bbased on the\b",
        r"\b(?:the )?(?:article|document|paragraph|excerpt)\b",
        r"\bgiven the following\b",
        r"\bdocuments?:",
    ),
    "question_answering_open": (
        r"^(?:what|who|when|where|why|which|how)\b",
        r"\bexplain\b",
        r"\bdifference between\b",
        r"\bwhat is\b",
        r"\btell me about\b",
        r"\bdefine\b",
    ),
    "code_generation": (
        r"\bpython\b",
        r"\bjavascript\b",
        r"\bsql\b",
        r"\bcode\b",
        r"\bfunction\b",
        r"```",
        r"\bdef \w+\(",
        r"\bregex\b",
        r"\bbug\b",
        r"\bimplement\b",
        r"\bapi\b",
        r"\bscript\b",
    ),
    "math": (
        r"\d\s*[-+*/=^]\s*\d",
        r"\bcalculate\b",
        r"\bsolve\b",
        r"\bequation\b",
        r"\bprobability\b",
        r"\bhow (?:many|much)\b",
        r"\bprove\b",
        r"\btotal\b",
        r"\bpercent",
        r"\\(?:frac|sqrt|sum)",
    ),
    "translation": (r"\btranslat", r"\b(?:in|into|to) (?:english|german|french|spanish|italian|chinese|japanese)\b"),
    "rewriting": (
        r"\brewrit",
        r"\bparaphras",
        r"\brephras",
        r"\bproofread\b",
        r"\bgrammar\b",
        r"\btone\b",
        r"\bmore (?:formal|polite|concise)\b",
        r"\bedit\b",
        r"\bcorrect the\b",
    ),
    "creative_generation": (
        r"\bwrite (?:a|an|me)\b",
        r"\bstory\b",
        r"\bpoem\b",
        r"\bideas?\b",
        r"\bbrainstorm\b",
        r"\bcompose\b",
        r"\bgenerate\b",
        r"\bcreate\b",
        r"\bslogans?\b",
        r"\bdraft\b",
        r"\bplan\b",
    ),
    "conversation": (
        r"\byou are (?:a|an) .{0,60}(?:assistant|companion|character|agent)\b",
        r"\brole-?play\b",
        r"\bchat(?:bot)?\b",
        r"\bpersona\b",
        r"^(?:hi|hello|hey)\b",
    ),
    "tool_use": (r"\btools?\b", r"\bfunction call", r"\bactions?:", r"\bthought:", r"\bagent\b"),
    "multi_step_reasoning": (
        r"\bstep[- ]by[- ]step\b",
        r"\breason(?:ing)?\b",
        r"\bdeduce\b",
        r"\blogic(?:al)?\b",
        r"\bpuzzle\b",
        r"\bif .{5,80} then\b",
        r"\banalyz|\banalys",
    ),
}
_COMPILED = {
    task: re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE | re.MULTILINE)
    for task, patterns in PATTERNS.items()
}


def regex_task(system: str, user: str, *, has_tools: bool) -> str:
    """The task whose patterns match most often, each pattern's text counted once; unknown without a match."""
    if has_tools:
        return "tool_use"
    text = f"{system}\n{user}"
    counts = {
        task: len({match.group(0).lower() for match in pattern.finditer(text)}) for task, pattern in _COMPILED.items()
    }
    best = max(counts, key=counts.__getitem__)
    return best if counts[best] else "unknown"
