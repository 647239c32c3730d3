"""The model ``miao`` of EleutherAI's lm-evaluation-harness (pip install lm-eval): its tasks, computed by miao on a CPU.

    python -m miao.lm_eval run --model miao --model_args pretrained=smollm2 --tasks hellaswag --limit 100

That is the harness's own command line, with this model known to it; in a program, importing this module makes it known to
``lm_eval.simple_evaluate(model="miao", model_args=...)``.
"""

from __future__ import annotations

import os
from typing import Any

import lm_eval.models  # its own models stay known: a registry that holds one is not filled by itself
import numpy as np
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tqdm import tqdm

import miao

_MAX_GEN = 256  # tokens of an answer where a task sets no limit, as the harness's own models have it
_LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed")


@register_model("miao")
class MiaoLM(TemplateLM):
    """A decoder that miao runs.

    pretrained: a miao.Model, or what miao.load() takes. dtype, threads, kv: as load() takes them. max_length: tokens of a
    context (0 = the model's own, at most 4096); what is longer loses its beginning. add_bos_token: whether texts begin
    with the begin token; None = as the model's files say. max_gen_toks: tokens of an answer where the task sets no limit.
    batch_size and device are taken for the harness's sake and change nothing.
    """

    def __init__(self, pretrained: str | os.PathLike[str] | miao.Model, *, dtype: str = "auto", threads: int = 0,
                 kv: str | None = None, max_length: int = 0, add_bos_token: bool | None = None, max_gen_toks: int = _MAX_GEN,
                 batch_size: Any = None, max_batch_size: Any = None, device: Any = None) -> None:
        super().__init__()
        if isinstance(pretrained, miao.Model):
            self.model, self._name = pretrained, repr(pretrained)
        else:
            self.model = miao.load(pretrained, dtype=dtype, threads=threads, kv=kv, ctx=max_length)
            self._name = os.fspath(pretrained)
        if self.model.kind != "decoder":
            raise miao.Unsupported(f"the harness asks decoders; this model is an {self.model.kind}", self._name)
        self.max_length, self.max_gen_toks, self._add_bos = self.model.ctx, max_gen_toks, add_bos_token

    @property
    def eot_token_id(self) -> int | None:
        """The id that ends a text."""
        return self.model.tokenizer.eos_id

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that has nothing before it: the begin id, else the end id."""
        tokenizer = self.model.tokenizer
        first = tokenizer.bos_id if tokenizer.bos_id is not None else tokenizer.eos_id
        if first is None:
            raise miao.Unsupported("the tokenizer has neither a begin nor an end token", self._name)
        return first

    @property
    def tokenizer_name(self) -> str:
        """For the harness's cache of requests."""
        return self._name.replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Ids of a text. Control tokens that it spells become their ids: chat templates write them."""
        tokenizer = self.model.tokenizer
        if add_special_tokens is False:
            return tokenizer.encode(string, add_special=False)
        if self._add_bos is None:
            ids = tokenizer.encode(string)
            if ids and ids[-1] == tokenizer.eos_id and tokenizer.encode(string, add_special=False)[-1:] != ids[-1:]:
                ids = ids[:-1]  # a model that ends its inputs with it would have nothing to add
        else:
            ids = ([self.prefix_token_id] if self._add_bos else []) + tokenizer.encode(string, add_special=False)
        if ids[:1] == [tokenizer.bos_id] == ids[1:2]:  # a chat template has written it already
            ids = ids[1:]
        return ids

    def tok_decode(self, tokens: list[int], skip_special_tokens: bool = True) -> str:
        """The text of ids."""
        return self.model.tokenizer.decode(tokens, skip_special=skip_special_tokens)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The text that the model reads for a conversation."""
        return self.model.tokenizer.apply_chat_template(chat_history, add_generation_prompt)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """For the harness's records; the model's own template is the only one."""
        return "the model's own" if chat_template else None

    def _loglikelihood_tokens(self, requests: Any, disable_tqdm: bool = False, **_: Any) -> list[tuple[float, bool]]:
        out = []
        for key, context, continuation in tqdm(requests, desc="loglikelihood", disable=disable_tqdm):
            if not continuation:
                raise miao.Invalid(f"nothing is left of the continuation {key and key[1]!r}: it is all part of a token of the "
                                   "context", self._name)
            ids = (context + continuation)[-(self.max_length + 1):]
            count = min(len(continuation), len(ids) - 1)  # a continuation longer than the window loses its beginning too
            # In double precision, as sums of many rows; the last id is only asked about.
            rows = self.model.logits(ids[:-1])[-count:].astype(np.float64)
            target = np.asarray(ids[-count:])
            own = rows[np.arange(count), target]
            top = rows.max(axis=1)
            likelihood = own - top - np.log(np.exp(rows - top[:, None]).sum(axis=1))
            answer = float(likelihood.sum()), bool((own == top).all())
            if key is not None:
                self.cache_hook.add_partial("loglikelihood", key, answer)
            out.append(answer)
        return out

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
        """Log-likelihoods of whole texts, each token behind as many as the context holds."""
        out = []
        for (text,) in tqdm([request.args for request in requests], desc="loglikelihood_rolling", disable=disable_tqdm):
            windows = get_rolling_token_windows(token_list=self.tok_encode(text, add_special_tokens=False),
                                                prefix_token=self.prefix_token_id, max_seq_len=self.max_length - 1, context_len=1)
            total = 0.0
            for context, scored in map(make_disjoint_window, windows):
                total += float(self.model.score(context + scored)[-len(scored):].sum(dtype=np.float64))
            self.cache_hook.add_partial("loglikelihood_rolling", (text,), total)
            out.append(total)
        return out

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        """Answers up to a stop text: the likeliest tokens, unless the task asks to sample."""
        out = []
        for context, given in tqdm([request.args for request in requests], desc="generate_until", disable=disable_tqdm):
            settings = dict(given)
            until = settings.pop("until", None) or []
            limits = [settings.pop(name) for name in _LIMITS if settings.get(name) is not None]
            length = min(int(limits[0]) if limits else self.max_gen_toks, self.max_length - 1)
            ids = self.tok_encode(context)[-(self.max_length - length):] or [self.prefix_token_id]
            sampled = settings.get("do_sample", float(settings.get("temperature") or 0) > 0)
            sampling = {k: settings[k] for k in _SAMPLING if settings.get(k) is not None} if sampled else {"greedy": True}
            stop = [text for text in ([until] if isinstance(until, str) else until) if text]
            answer = self.model.generate(ids, max_tokens=length, stop=stop, **sampling).text
            self.cache_hook.add_partial("generate_until", (context, given), answer)
            out.append(answer)
        return out


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
