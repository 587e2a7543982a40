"""Words by which templates are told from what fills them, as plain data."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BEFORE_A_NAME = _words(
    "assist assisting by called client customer dear employee for hello help helping hi is manager named patient "
    "student to user with"
)
"""Words that announce somebody's name."""

HTML_TAGS = _words(
    "a article b body br button center code dd div dl dt em footer form h1 h2 h3 h4 h5 h6 head header hr html i img "
    "input label li link main meta nav ol option p path pre script section select small span strong style sub sup svg "
    "table tbody td th thead title tr u ul"
)
"""Tags of documents rather than of prompts."""

LABEL_NOUNS = _words(
    "abstract action answer answers argument article articles aspect assistant background body caption case "
    "categories category choices chunk claim class code column columns comment comments company concept concepts "
    "constraints content context conversation criteria customer data database date description details dialog "
    "dialogue diff document documents draft email end error evidence example examples excerpt explanation expression "
    "fact facts feedback field fields format function goal guidelines headline hint history hypothesis incident "
    "information input instruction instructions issue item items job json keyword keywords label labels language line "
    "list log message messages metadata minutes narrative notes object observation option options order outline "
    "output paper paragraph passage phrase plan plot policy post premise premises problem process product profile "
    "prompt purpose query question questions quote reason reference report request requirements response result "
    "results resume review role rubric rule rules scenario schema score section sentence sentences sentiment "
    "situation snippet solution source sources spec specification statement step steps story style subject suggestion "
    "summary system table tags task template terms test text theme thought thread ticket title tone tool tools topic "
    "topics transaction transcript translation tweet type url user utterance variables word words source1 source2 a q"
)
"""What the fields of a prompt's form are called. A closed list, as speakers' names look the same."""

VERBS = _words(
    "add analyse analyze answer apply assess assign break build calculate call change check choose cite classify "
    "combine compare complete compose compute condense construct convert correct create decide define describe design "
    "detect determine don't draft edit estimate evaluate expand explain extract fill fix flag follow format generate "
    "give highlight identify ignore improve indicate infer judge label localise localize make mark match organize "
    "output paraphrase parse pick please predict produce proofread propose provide rank rate read recommend redact "
    "refactor rephrase replace reply report respond return revise rewrite score select shorten show simplify solve "
    "sort suggest summarise summarize synthesize tell transform translate turn use using verify write"
)
"""Words that begin a line of instruction, and seldom a line of somebody's text."""

OPENING_WORDS = VERBS | {"according", "based", "below", "consider", "given", "here", "here's", "you", "your"}
"""Words that begin an instruction at the head of a message, where data seldom stands."""

ASKING_SECTIONS = _words(
    "constraints criteria format goal guidelines instruction instructions output requirements rules task"
)
"""Sections that hold instructions rather than data."""

GENERIC_WORDS = _words(
    "a accurate accurately ai always an and answer answers are as assistant be bot chatbot concise concisely correct "
    "detailed expert friendly given good harmless help helpful honest i in intelligent kind knowledgeable language "
    "large model of please polite professional provide question questions reply respond responses smart task tasks "
    "that the to useful user very who with you your"
)
"""Instructions made of these alone would suit any template."""
