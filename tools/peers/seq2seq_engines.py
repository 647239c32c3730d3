"""CTranslate2 as a translator and as a listener (faster-whisper). Runs in the venv of the engines (worker.py); called as a
program, makes a checkpoint with random weights and converts it: python seq2seq_engines.py SHAPE FOLDER leaves CTranslate2's
files in the folder and what they were made of in FOLDER/checkpoint."""
import json
import pathlib
import random
import shutil
import sys
import tempfile
import time

SHAPES = {  # real shapes, random weights
    "Flan-T5-small": ("T5ForConditionalGeneration", {
        "d_model": 512, "d_ff": 1024, "d_kv": 64, "num_heads": 6, "num_layers": 8, "num_decoder_layers": 8, "vocab_size": 32128,
        "feed_forward_proj": "gated-gelu", "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}),
    "Marian": ("MarianMTModel", {
        "d_model": 512, "encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048, "encoder_layers": 6, "decoder_layers": 6,
        "encoder_attention_heads": 8, "decoder_attention_heads": 8, "vocab_size": 58101, "max_position_embeddings": 512,
        "activation_function": "swish", "scale_embedding": True, "static_position_embeddings": True, "pad_token_id": 58100,
        "eos_token_id": 0, "decoder_start_token_id": 58100, "forced_eos_token_id": None, "bos_token_id": None}),
}


def make(shape, folder):
    import ctranslate2
    import tokenizers
    import torch
    import transformers
    architecture, values = SHAPES[shape]
    model_class = getattr(transformers, architecture)
    torch.manual_seed(1)
    model = model_class(model_class.config_class(**values)).eval()
    special = {values["pad_token_id"]: "<pad>", values["eos_token_id"]: "</s>", 2: "<unk>"}
    vocabulary = {special.get(i, f"t{i}"): i for i in range(values["vocab_size"])}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, "<unk>")),
                                                     pad_token="<pad>", eos_token="</s>", unk_token="<unk>")

    class Converter(ctranslate2.converters.TransformersConverter):
        def load_tokenizer(self, *arguments, **named):
            return tokenizer

    with tempfile.TemporaryDirectory(dir=folder.parent) as new:
        checkpoint, converted = pathlib.Path(new) / "checkpoint", pathlib.Path(new) / "converted"
        model.save_pretrained(checkpoint)
        Converter(str(checkpoint)).convert(str(converted))
        checkpoint.rename(converted / "checkpoint")
        shutil.rmtree(folder, ignore_errors=True)
        converted.rename(folder)


class Translator:
    """Sequences of random tokens to as many. `streams`: each thread takes a part of the batch, instead of all the whole."""

    def __init__(self, folder, threads, compute_type="int8", streams=False):
        import ctranslate2
        self.parts = threads if streams else 1
        self.translator = ctranslate2.Translator(str(folder), device="cpu", compute_type=compute_type, inter_threads=self.parts,
                                                 intra_threads=threads // self.parts)

    def seconds(self, batch, beam, tokens, reps):
        draw = random.Random(1)
        source = [[f"t{draw.randrange(3, 30000)}" for _ in range(tokens)] for _ in range(batch)]
        times = []
        for _ in range(reps + 1):
            start = time.perf_counter()
            out = self.translator.translate_batch(source, beam_size=beam, min_decoding_length=tokens, max_decoding_length=tokens,
                                                  max_batch_size=-(-batch // self.parts))
            times.append(time.perf_counter() - start)
        assert all(len(one.hypotheses[0]) == tokens for one in out), "outputs of other lengths than asked for"
        return sorted(times[1:])[reps // 2]


class Listener:
    def __init__(self, folder, threads, compute_type="int8"):
        import faster_whisper
        self.model = faster_whisper.WhisperModel(str(folder), device="cpu", compute_type=compute_type, cpu_threads=threads, num_workers=1)

    def seconds(self, file, beam):
        start = time.perf_counter()
        pieces, _ = self.model.transcribe(file, language="en", beam_size=beam, temperature=0, condition_on_previous_text=False)
        text = " ".join(piece.text.strip() for piece in pieces)
        return {"seconds": time.perf_counter() - start, "text": text}


if __name__ == "__main__":
    make(sys.argv[1], pathlib.Path(sys.argv[2]))
    print(json.dumps({"made": sys.argv[1]}))
