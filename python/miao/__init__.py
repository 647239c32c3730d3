"""Language models on a CPU: load a GGUF file or a Hugging Face directory, generate, chat, translate, embed, classify,
transcribe, measure, compress.

    import miao

    model = miao.load("smollm2")
    for piece in model.chat([{"role": "user", "content": "Name three rivers."}]):
        print(piece, end="", flush=True)

What goes wrong raises a miao.Error. Warnings go to the logger "miao".
"""

from ._miao import Completion, Index, Model, SpeechStream, Stream, Tokenizer, load
from ._miao import version as __version__
from .errors import Bug, Busy, Cancelled, Corrupt, Device, Error, Invalid, Io, NotFound, OutOfMemory, Unsupported
from .measuring import Compression, Evaluation, Verdict, compress, eval
from .results import Answer, Answers, Classification, Entity, Explanation, Hit, Ranked, Segment, Transcript, Word

__all__ = [
    "Answer",
    "Answers",
    "Bug",
    "Busy",
    "Cancelled",
    "Classification",
    "Completion",
    "Compression",
    "Corrupt",
    "Device",
    "Entity",
    "Error",
    "Evaluation",
    "Explanation",
    "Hit",
    "Index",
    "Invalid",
    "Io",
    "Model",
    "NotFound",
    "OutOfMemory",
    "Ranked",
    "Segment",
    "SpeechStream",
    "Stream",
    "Tokenizer",
    "Transcript",
    "Unsupported",
    "Verdict",
    "Word",
    "__version__",
    "compress",
    "eval",
    "load",
]
