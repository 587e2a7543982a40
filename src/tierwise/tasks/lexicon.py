"""Words that tell the task: weights by hand, in natural-log units, as plain data.

Three kinds of evidence. `WORDS`: a word or a run of words, wherever it stands. `LEADS`: a word that begins a line or a
sentence, where instructions put their verb. `OBJECTS`: what a making verb (`MAKING_VERBS`) is asked to make. English
first; the commonest verbs of German, French, Spanish, Italian and Portuguese; Chinese and Japanese in `SUBSTRINGS`, as
they do not put spaces between words.
"""

from __future__ import annotations

from collections.abc import Mapping

CLASSES = (
    "classification",
    "judge",
    "extraction",
    "summarization",
    "question_answering_context",
    "question_answering_open",
    "code_generation",
    "math",
    "translation",
    "rewriting",
    "creative_generation",
    "conversation",
    "tool_use",
    "multi_step_reasoning",
)
"""The task types that words can tell, in the order of a row of scores."""

Evidence = Mapping[str, Mapping[float, str]]
"""Task → weight → entries, separated by `|`."""

WORDS: Evidence = {
    "classification": {
        3.0: "classify|classifies|classification task|entailment|sentiment|positive or negative|negative or positive"
        "|true or false|yes or no|spam|toxic|hate speech|paraphrase each other|mean the same|same meaning"
        "|detect the language|identify the language|language identification|same thing|best describes|klassifiziere"
        "|classifie|clasifica|classifica|classifique|stance|sarcastic|triage|exactly one category|possible intents"
        "|intent of|one queue|community guidelines|content policy|safe or unsafe|ordne|einer kategorie|étiquette"
        "|détermine l intention|catégorise|categoriza|clasificar|intención|etiqueta|assegna|etichetta|categorize a"
        "|classificar|intenção",
        2.0: "category|categories|categorize|categorise|label|labels|labelled|labeled|intent|polarity|duplicate"
        "|duplicates|whether|neutral|contradicts|contradict|hypothesis|premise|determine if|decide if|detect if"
        "|tell if|indicate if|moderator|moderation|violates|fraudulent|exactly one of|one of the following|belongs to"
        "|stereotype|offensive|appropriate or not|acceptable|yes otherwise|otherwise no|respond with yes|answer yes"
        "|plausible|expresses|expressed|expressing|feel about|good or bad|bad or good|reviewer|viewer|asking for"
        "|asking about|rating|stars|respond with true|true otherwise|kategorie|catégorie|categoría|categoria"
        "|kategorien|stimmung|catégories|sentiments|categorías|sentimiento|categorie|sentimento|categorias|intents"
        "|one of these categories|either positive",
        1.0: "predict|detect|flag|assign|topic|genre|choose|pick|review|star|option|options|belong|urgency|priority"
        "|queue|identify whether|are these|section|recommend this|tone|agree|disagree|unfavorable|favorable"
        "|this review|valid or|invalid|allowed|likely|emotion|emotions|bias|biases|output 1|output 0|return 1"
        "|is correct|right answer|reasonable answer|valid answer|equivalent|similar|judge|judgment",
    },
    "judge": {
        4.0: "select the most relevant|most relevant choice|predicted answer is correct|faithful to|impartial judge"
        "|as a judge|assistant a|assistant b|two responses|two assistants|response a|response b|which response"
        "|which answer is better|model response|model's response|ground truth|reference answer|rubric|grading|grader"
        "|evaluation criteria|quality of the response|responses of an ai|responses provided by|grade the"
        "|candidate answers|predicted answer|correct answer is|submitted answer|llm output|supported by the context"
        "|supported or unsupported|which one is better|better answer|select the next role|should act next"
        "|worker to act|reference solution|meets the criteria|pass or fail",
        2.5: "judge|verdict|evaluator|you evaluate|evaluate responses|evaluate the response|evaluate the answer"
        "|evaluate the quality|relevance score|is relevant|relevant to the query|relevant to the question|scale of 1"
        "|scale from 1|score from 1|score between|rate the|tie|helpfulness|harmlessness|faithful|faithfulness"
        "|groundedness|hallucination|route the|router|routes|select the best|select the most|which tool|which expert"
        "|which agent|next speaker|select the next|rank the|rerank|pairwise|is better|against a reference"
        "|against the reference|criteria|bewerte|évalue|evalúa|valuta|how relevant|route the question|right handler"
        "|route each|you check answers|unsupported|scale from 0|scale of 0|grounded in the|hallucinated",
        1.0: "score|scores|justification|grade|compare|relevance|relevant|responses|response|correctness|evaluate"
        "|candidates",
    },
    "extraction": {
        3.0: "extract|extracts|extracting|extraction|named entities|named entity|entities|triples|key phrases"
        "|keyphrases|pull out|knowledge graph|parse the|parts-of-speech|pos tag|pos tags|part of speech|extrahiere"
        "|extrais|extraire|extrae|extraer|estrai|extraia|action items|json schema|all mentions|every mention"
        "|fill in the form|form fields|line items|purchase order|missing values|extrahieren|entnimm|extrair|estrarre"
        "|extraer todos",
        2.0: "mentioned in|mentioned|fields|schema|attributes|key-value|slots|list all|find all|identify all"
        "|every person|locations and|dates|invoice|resume|phone number|email addresses|use null|null if"
        "|subject and object|span|spans|noun phrase|noun phrases|keywords|phrases that|highlight|owners|out of the"
        "|from the following text|details on|fill in|structured data|return json|as json|into json|invoice number"
        "|due date|vendor|key-value pairs",
        1.0: "identify|from the text|values found|collect|json|document|contract|name of the|names of|entity"
        "|medications|relation|quote|copy|listing|capture",
    },
    "summarization": {
        3.5: "summarize|summarise|summarizes|summarizing|summarized|summary|summaries|summarization|tldr|tl dr|tl;dr"
        "|recap|nutshell|condense|sum up|fasse zusammen|zusammenfassung|fasse|résume|résumé|resume el|resumir|resumen"
        "|resuma|resumo|riassumi|riassunto|boils down|main points|key points|key takeaways|main takeaways|takeaways"
        "|gist|synopsis|meeting minutes|shorten this|distill|abstract for|release notes|handover note|handoff note"
        "|status update|digest|zusammenfassen|résumer|synthèse|síntesis|sintesi|riassumere|sintetizza|sintetize"
        "|call summary",
        2.0: "minutes|highlights|overview of|main idea|main ideas|headline for|title for this|one sentence"
        "|single sentence|few words|bullet points|short form|essentials|concise summary|abstract|brief overview"
        "|one-sentence|synthesize these",
        1.0: "concise|concisely|condensed|articles|transcript|main|compress|compressed|brief|shorten",
    },
    "question_answering_context": {
        3.0: "based on the context|using the context|only the context|context below|following context|given context"
        "|pieces of context|context provided|provided context|from the context|retrieved documents|search results"
        "|knowledge base|based on the passage|based on the text|answer is present|not in the context|cite the source"
        "|above context|reading comprehension|contains an answer|contains the answer|grounded answer|answer from the"
        "|following information to answer|article and answer|following conversation and answer|use it to answer"
        "|based on the following|answer the above question|answer the question based|answer based on"
        "|use the documents|documents to answer|use the context|provided documents|anhand des|folgenden textes"
        "|basierend auf|d après le|selon le texte|à partir du texte|según el texto|basándote en|in base al"
        "|com base no|de acordo com o texto|answer only from|if the answer is not",
        2.0: "according to the|given the following|unanswerable|answerable|insufficient information|no answer"
        "|outside knowledge|when answering|article and|refer to the|notes only|citations|documents provided"
        "|supporting facts|kontext|contexte|contexto|contesto|excerpts|chunks|documentation|question about the"
        "|document ids|cite the document|outside the context",
        1.2: "context|passage|excerpt|paragraph|following article|read the|background|situation|text above",
        0.6: "question|document|article|provided|facts|fact|information|sources|dialogue",
    },
    "question_answering_open": {
        2.5: "general knowledge|trivia|answer this question|answer the following question|answer the question"
        "|answer questions|difference between|explain why|explain how|how do i|how can i|give advice|your opinion"
        "|tell me about|definition of|recommend something|beginner|beantworte|répondre|responde|rispondi"
        "|multiple choice question|multiple-choice|like i am|exam|quiz",
        1.5: "explain|factual|knowledge|commonsense|common-sense|meaning of|advice|tutor|science question"
        "|encyclopedia|how does|how to|what are some|what is the best|what causes|benefits of|what is the capital"
        "|define the",
        0.5: "question|who|when|where|which|what|how|why|answer|know|history|country|can i|should i",
    },
    "code_generation": {
        3.5: "python|javascript|typescript|sql|java|c++|c#|golang|rust|php|ruby|html|css|react|regex"
        "|regular expression|dockerfile|kubernetes|bash|powershell|pandas|numpy|leetcode|refactor|unit test"
        "|unit tests|source code|this code|some code|code review|pull request|stack trace|traceback|docstring|cypher"
        "|graphql|swift|kotlin|dataframe|vba|dax|assertion|codebase|function body|programming|programmer"
        "|software engineer|postgresql|mysql|sqlite|bigquery|pyspark|terraform|kubectl|ansible|pytest|junit|jest"
        "|eslint|monorepo|python-funktion|python-skript|quellcode|excel formula|stacktrace|node.js|npm|github|dbt",
        2.0: "code|script|function that|function to|def|class below|class that|debug|debugging|bug|compile|compiler"
        "|api|endpoint|json to|algorithm|shell|command line|query that|programm|implement|diff|commit|repository"
        "|method to|react component|import|const|async|boolean|array|println|return type|snippet|pseudocode"
        "|table schema|database|columns|create table|select from|xml|yaml|terminal|linux|skript|programmiere|código"
        "|codice|linter|docker|schema orders|unit-test",
        1.0: "function|program|component|variable|executed|execute|executing|class|library|module|input output|parse",
    },
    "math": {
        3.5: "equation|equations|solve for|derivative|integral|probability|calculate|compute|math|mathematical"
        "|mathematics|arithmetic|algebra|geometry|theorem|prove that|polynomial|how many|how much|word problem|frac"
        "|sqrt|perimeter|area of|triangle|rectangle|multiply|multiplied|divided|subtract|percent|integers|berechne"
        "|calcule|calcula|calcola|matrix|logarithm|remainder|least common|cdot|rechne|digit|average speed|how far"
        "|how fast|zinseszins|prozent|wie viele|wie viel|pourcentage|combien|porcentaje|cuánto|cuántos|percentuale"
        "|quanti|porcentagem|quantos|berechnen|calculer|calcular|calcolare",
        2.0: "solve|sum of|product of|average|ratio|square|cubic|number of|prime|evaluate the|function f|let x"
        "|value of|numerical|convert the units|plus|minus|fraction|angle|circle|decimal|radius|velocity|addition"
        "|subtraction|multiplication|division|sum|difference of|simplify the expression|converted to|final number"
        "|boxed",
        1.0: "number|numbers|total|units|times|interest|cost|each|twice|half|dollars|volume|mass|speed|per hour"
        "|expression|formula|physics|measurement|work out|miles|feet|km|kg|cents|price|profit",
        0.5: "more than|less than|left|hours|minutes|earn|spend|buys|bought|sold|steps",
    },
    "translation": {
        4.5: "translate|translates|translated|translating|translation|translations|translator|übersetze|übersetzen"
        "|übersetzung|traduis|traduire|traduction|traduce|traducir|traducción|traduci|traduzione|traduza|traduzir"
        "|tradução|localise|localize|transliterate|say this in|into english|into french|into german|into spanish"
        "|into chinese|into japanese|from english to|ins englische|ins deutsche|ins französische|ins spanische"
        "|al inglés|al español|in inglese|in italiano|para o inglês|para o português",
        0.7: "english|french|german|spanish|italian|portuguese|chinese|japanese|korean|arabic|hindi|russian|dutch"
        "|polish|turkish|persian|language|languages|idiom|proverb|subtitle|literal|bilingual",
    },
    "rewriting": {
        3.5: "fix the grammar|correct the spelling|rewrite|rewriting|rewritten|rephrase|rephrased|paraphrase"
        "|paraphrased|paraphrasing|reword|proofread|fix grammar|correct the grammar|grammar and spelling"
        "|grammatical errors|more formal|more polite|more professional|standalone question|simplify this"
        "|simplify the text|improve the following|improve drafts|reformat|redact|anonymize|placeholders|umschreibe"
        "|schreibe um|reformule|corrige|reescribe|reescreva|riscrivi|same meaning as|without changing the meaning"
        "|better search query|copy edit|first person to|easier to read|easy to read|plain language"
        "|polite and professional|tone of voice|paragraph shorter|text shorter|make it shorter|sounds polite"
        "|korrigiere|formuliere|umformulieren|orthographe|grammaire|ortografía|gramática|correggi|corregir|ortografia"
        "|grammatica|corrija|reescrever|reformule a",
        2.0: "grammar|spelling|misspelling|misspelled|polish|fluent|fluency|tone of|style and consistency|edit the"
        "|make it more|clearer|disfluent|modify|alter|change the text|change the tense|replace all|simplified|simpler"
        "|retains|preserving|follow up question|convert the sentence|correct spelling|inclusive"
        "|suggest an alternative",
        1.0: "improve|edit|edited|correct|corrected|formal|polite|tone|professional|version|draft|wording|readable"
        "|concise",
    },
    "creative_generation": {
        3.0: "poem|poems|haiku|lyrics|essay|blog post|blog|cover letter|brainstorm|brainstorming|slogan|tagline"
        "|copywriter|persona|come up with|make up|generate a question|generate questions|quiz questions|joke|jokes"
        "|short story|social media|product description|press release|screenplay|novel|gedicht|poème|poema|poesia"
        "|itinerary|creative|creatively|recipe|metaphor|rap|ideas for|write an article|synthetic|cover|campaign"
        "|movie plot|construct a question|write a question|search queries|write questions|create questions"
        "|creating questions|linkedin post|instagram|ad copy|landing page copy|subject line|subject lines"
        "|follow-up questions|blogartikel|blogbeitrag|article de blog|artículo|articolo|artigo",
        2.0: "compose|invent|imagine|speech|script for|tweet|headline|newsletter|suggest titles|names for|plan a"
        "|write a sentence|write a dialogue|generate a sentence|biography|complete the|continue the|expand the"
        "|plausible|implausible|storyline|predict the next|next sentence|generate text|craft|caption|advertisement"
        "|post about|email to|schreibe|schreib|écris|rédige|escribe|redacta|escreva|scrivi|wrong answer"
        "|incorrect answer|ideas",
        1.5: "story|stories|article about|letter|outline|ending|writing|examples of",
        1.0: "write|generate|create|draft|suggest|produce|title|marketing|funny|concepts|topic|poetic|list of"
        "|recommendation",
    },
    "conversation": {
        3.5: "chat with|talk to me|friendly companion|companion|virtual assistant|chatbot|chat model|role play"
        "|roleplay|role-play|break character|pretend to be|pretend|want you to act as|language partner"
        "|conversation going|friendly conversation|between a human and an ai|how are you|knowledge cutoff"
        "|do not reveal these|next message|chat history|helpful honest|honest and harmless|stay in character"
        "|that s all for|wie geht s|wie geht es|ça va|qué tal|come stai|tudo bem|guten morgen|buenos días|buongiorno"
        "|bom dia|good morning|good night|goodbye",
        2.0: "you play|act as my|act as an|interviewer|friendly|talkative|greeting|hello|hi|hey|thanks"
        "|customer support agent|stay on topic|built by|developed by|yes and|as a friend|reply to the"
        "|dialogue generation|chit-chat|listener|current date|decline|persona",
        1.0: "assistant|conversation|chat|talk|polite|user|helpful|role|response|respond|empathetic|listen|dialogue",
    },
    "tool_use": {
        4.0: "following tools|action input|action_input|observation|use a tool|call the tool|calling tools|tool calls"
        "|function call|function calls|functions below|autonomous|coding agent|research agent|you are an agent"
        "|as an agent|search tool|python tool|api tools|access to tools|available tools|tools available|handoff"
        "|web browser|sandboxed|call one of the functions|edit tool|through tools|query tool|pair programmer"
        "|tools for|multi-agent",
        2.0: "tool|tools|agent|agents|next action|sub-tasks|execute commands|terminal commands|run commands|api call"
        "|delegate|task is done|until the task|ide|shell|browser|invoke|orchestrator|workflow",
        1.0: "action|actions|call|environment|observe|plan searches|files|commands",
    },
    "multi_step_reasoning": {
        3.0: "step by step|step-by-step|logic puzzle|puzzle|logical deduction|deduce|deductively|premises|fallacy"
        "|fallacies|syllogism|root cause|trade-offs|tradeoffs|reason carefully|chain of thought|sub-questions"
        "|threat analysis|strategy analyst|riddle|riddles|inference|counterfactual|hypotheses|valid schedule"
        "|must be true|truth value|logically|reasoning task|think through|work through|schritt für schritt"
        "|étape par étape|paso a paso|weigh the evidence|each hypothesis",
        2.0: "analyze the|analyse the|assess the|constraints|causal|cause and effect|caused|evaluate the trade"
        "|deduction|reasoning|reason|sequence|consecutive|occurrences|position of|sort|sorted|reverse|vowels|elements"
        "|arranged|crossword|analogy|conclude|hidden assumptions|decompose|break down|break the|list of integers"
        "|subsequence|parentheses|root-cause|forecast|implications|odd one|multi-step|objective into|given list"
        "|count the|characters|figure out|common sense",
        1.0: "logic|logical|infer|determine|analysis|steps|step|why|argument|assumptions|risk|compare|options|likely"
        "|order|plan|relation|metaphor|statement|evidence|strategy|true",
    },
}

LEADS: Evidence = {
    "classification": {
        2.5: "classify|categorize|categorise|label|tag|triage|ordne|assegna|classificare",
        1.0: "is|are|does|do|did|determine|decide|detect|choose|pick|indicate|select|verify|flag|assign|predict|would"
        "|was",
    },
    "judge": {
        2.0: "judge|grade|rate|score|rank|evaluate|route",
    },
    "extraction": {
        3.0: "extract|parse|extrahiere|extrais|extrae|estrai|extraia",
        1.5: "list|find|identify|get|pull|read|locate",
        0.5: "return|output|name",
    },
    "summarization": {
        3.0: "summarize|summarise|condense|shorten|recap|sum|fasse|résume|resume|resuma|riassumi",
        1.0: "distill|tl",
    },
    "question_answering_context": {
        2.0: "context|passage|article|document|background|according|information",
        1.0: "paragraph|text|read|use|based|fact|process|using",
    },
    "question_answering_open": {
        2.0: "what|who|why|how|when|where|which|explain|define|whom|whose|describe",
        0.7: "is|are|can|does|do|should|will|was|were|tell|give|name|question|q|answer|wie|warum|qué|cómo|quel"
        "|comment|come|quem|como",
    },
    "code_generation": {
        3.0: "implement|refactor|debug|def|import|function|public|class|from|const|code",
        1.5: "fix|complete|convert|review",
    },
    "math": {
        2.5: "calculate|compute|solve|prove|simplify|evaluate|factor|integrate|differentiate|berechne|calcule|calcula"
        "|calcola",
        1.0: "find|let|if|what",
    },
    "translation": {
        3.0: "translate|translation|render|localise|localize|transliterate|übersetze|traduce|traduis|traduza",
    },
    "rewriting": {
        3.0: "rewrite|rephrase|paraphrase|proofread|reword|reformat|simplify|edit|polish|redact|korrigiere|formuliere"
        "|corrige|correggi|corrija|reformule",
        1.5: "fix|correct|change|replace|improve|make|convert|modify|turn",
    },
    "creative_generation": {
        2.0: "write|compose|brainstorm|draft|imagine|invent|generate|create|suggest|design|craft|plan",
        1.0: "give|come|make|build|complete|produce|continue|list|add|tell|think|help|title",
    },
    "conversation": {
        2.5: "hello|hi|hey|thanks|hallo|bonjour|hola|ciao|olá|pretend|act|chat|reply",
    },
    "tool_use": {
        2.5: "thought|action|observation|tools",
        1.5: "call|use|delegate",
    },
    "multi_step_reasoning": {
        2.0: "analyze|analyse|assess|deduce|reason|decompose|break|compare|think|count|infer",
        1.0: "determine|evaluate|plan|perform|review|sort|consider",
    },
}

MAKING_VERBS = (
    "write create generate develop implement build design make produce compose draft give provide complete need come "
    "schreibe erstelle écris rédige crée escribe crea genera escreva crie scrivi suggest construct formulate craft "
    "convert turn prepare"
)
"""Verbs, separated by spaces, whose object tells the task."""

OBJECTS: Evidence = {
    "classification": {
        2.0: "label|category|classification",
    },
    "judge": {
        2.0: "verdict|rating|score|grade|judgment|evaluation",
    },
    "extraction": {
        1.5: "triples|entities|keywords",
    },
    "summarization": {
        3.0: "summary|abstract|recap|tldr|overview|minutes|summarization|zusammenfassung|résumé|resumen",
    },
    "question_answering_open": {
        1.0: "answer|explanation|definition|information",
    },
    "code_generation": {
        4.0: "function|script|program|query|sql|class|regex|dockerfile|component|endpoint|test|tests|method|algorithm"
        "|code|app|application|website|macro|formula|html|css|api|command|parser|module|snippet|statement|python"
        "|javascript|funktion|fonction|función|funzione|função|webpage|database|cli|bot|server|expression|loop|struct"
        "|workflow|python-funktion|python-skript|skript|migration|unit-test|playbook|pipeline",
    },
    "math": {
        2.0: "equation|proof|calculation",
    },
    "translation": {
        3.0: "translation|übersetzung|traduction|traducción|tradução|traduzione",
    },
    "rewriting": {
        2.0: "version|paraphrase|rewrite",
    },
    "creative_generation": {
        3.5: "poem|story|essay|letter|email|e-mail|mail|post|article|song|speech|joke|slogan|tagline|blog|titles"
        "|names|ideas|plot|dialogue|dialog|scene|itinerary|recipe|biography|caption|headline|advertisement|tweet"
        "|persona|haiku|lyrics|queries|metaphor|gedicht|geschichte|poème|histoire|poema|historia|curriculum|budget"
        "|syllabus|presentation|ad|campaign|proposal|resume|newsletter|outline|questions|blogartikel|blogbeitrag"
        "|anzeige|artikel|artículo|articolo|artigo|postagem|lettera|carta|lettre",
        2.5: "question|description|sentence|sentences|paragraph|list|plan|title|review|message|examples|conversation"
        "|claim|hypothesis|text|report",
    },
    "conversation": {
        2.0: "reply|response",
    },
    "multi_step_reasoning": {
        2.0: "analysis|strategy|argument|roadmap",
    },
}

SUBSTRINGS: Evidence = {
    "classification": {
        3.0: "分类|判断|情感|分類|是否",
    },
    "judge": {
        2.5: "评分|打分|採点|評価",
    },
    "extraction": {
        3.0: "提取|抽取|抽出",
    },
    "summarization": {
        3.5: "总结|摘要|概括|要約|まとめ|總結",
    },
    "question_answering_context": {
        2.5: "根据上下文|根据以下|以下の文章|根据文章|文脈",
    },
    "question_answering_open": {
        2.0: "什么是|为什么|如何|请解释|とは|なぜ|教えて|怎么",
    },
    "code_generation": {
        3.5: "代码|编程|函数|コード|プログラム|程序",
    },
    "math": {
        3.0: "计算|求解|方程|計算|解いて|多少",
    },
    "translation": {
        4.5: "翻译|翻譯|翻訳|译成|訳して",
    },
    "rewriting": {
        3.0: "改写|润色|重写|書き直|言い換え|校正",
    },
    "creative_generation": {
        2.5: "写一|创作|写一篇|故事|作文|書いて|物語|詩|生成",
    },
    "conversation": {
        2.5: "你好|こんにちは|扮演|聊天|役割",
    },
    "multi_step_reasoning": {
        2.5: "逐步|推理|一步一步|ステップ|推論",
    },
}
"""For text without spaces between words; looked for only when the text is not ASCII."""
