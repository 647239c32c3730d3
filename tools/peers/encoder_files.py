"""Makes what the engines of encoders load from the checkpoint: python encoder_files.py FOLDER, in the venv of the engines.

    FOLDER/minilm/            the checkpoint                     FOLDER/calibration.txt   texts that no figure is taken of
    FOLDER/onnx-fp32.onnx     exported by torch.onnx             FOLDER/onnx-fused.onnx   with ONNX Runtime's BERT fusions
    FOLDER/onnx-int8-*.onnx   dynamic quantisation of both       FOLDER/openvino-int8.xml NNCF, calibrated
    FOLDER/ct2/               CTranslate2's converter
What exists already stays.
"""
import pathlib
import shutil
import sys

import numpy
import tokenizers


def export_onnx(folder, target):
    import torch
    import transformers
    model = transformers.AutoModel.from_pretrained(folder / "minilm", dtype=torch.float32, attn_implementation="eager").eval()

    class Bare(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state

    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = tuple(torch.ones((2, 16), dtype=torch.int64) if n != "token_type_ids" else torch.zeros((2, 16), dtype=torch.int64) for n in names)
    batch, width = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("width", min=2, max=512)
    program = torch.onnx.export(Bare(), example, dynamo=True, input_names=names, output_names=["states"],
                                dynamic_shapes={n: {0: batch, 1: width} for n in names}, verbose=False)
    program.save(str(target))


def fuse(source, target):
    from onnxruntime.transformers import optimizer
    optimizer.optimize_model(str(source), model_type="bert", num_heads=12, hidden_size=384, opt_level=1).save_model_to_file(str(target))


def quantise(source, target, per_channel):
    from onnxruntime.quantization import QuantType, quantize_dynamic
    quantize_dynamic(str(source), str(target), per_channel=per_channel, reduce_range=False, weight_type=QuantType.QInt8)


def quantise_openvino(folder, source, target):
    import nncf
    import openvino
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "minilm" / "tokenizer.json"))
    tokenizer.no_padding()

    def sample(line):
        ids = numpy.array([tokenizer.encode(line).ids], dtype=numpy.int64)
        return {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}

    data = nncf.Dataset((folder / "calibration.txt").read_text().splitlines(), sample)
    model = nncf.quantize(openvino.Core().read_model(str(source)), data, model_type=nncf.ModelType.TRANSFORMER, subset_size=300)
    openvino.save_model(model, str(target), compress_to_fp16=False)


def convert_ctranslate2(folder, target):
    import ctranslate2
    ctranslate2.converters.TransformersConverter(str(folder / "minilm")).convert(str(target), force=True)


def main():
    folder = pathlib.Path(sys.argv[1])
    steps = {"onnx-fp32.onnx": lambda t: export_onnx(folder, t),
             "onnx-fused.onnx": lambda t: fuse(folder / "onnx-fp32.onnx", t),
             **{f"onnx-int8-{base}{'-channels' if channels else ''}.onnx":
                (lambda t, base=base, channels=channels: quantise(folder / f"onnx-{base}.onnx", t, channels))
                for base in ("fp32", "fused") for channels in (False, True)},
             "openvino-int8.xml": lambda t: quantise_openvino(folder, folder / "onnx-fp32.onnx", t),
             "ct2": lambda t: convert_ctranslate2(folder, t)}
    for name, make in steps.items():
        if (folder / name).exists():
            continue
        try:
            make(folder / name)
            print("made", name)
        except Exception as problem:  # that engine is left out, and the result says so
            print(f"{name}: {type(problem).__name__}: {problem}"[:600])
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
