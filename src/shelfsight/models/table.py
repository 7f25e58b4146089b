"""The table of the models that run in this process.

A new pair needs a row in `PAIRS`, the rows of its models, and a reference vector in a test.
"""

from typing import TYPE_CHECKING, Literal

from shelfsight.models.calibration import Calibration, Evidence
from shelfsight.models.specs import (
    HubFiles,
    ImageSpec,
    PackagedFile,
    PackagedModel,
    Pair,
    TextSpec,
    TorchForm,
)
from shelfsight.records import BRANCH, IMAGE_WIDTH, PictureFormat, model_name

QUERY_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
"""The instruction for a search query, with which Qwen3-Embedding was published."""


SIGLIP = ImageSpec(
    name="siglip-base-patch16-224",
    revision="294847d6b5fe86c91330269da98ce112d6c75e7e",
    source=HubFiles(
        repository="Xenova/siglip-base-patch16-224",
        graph="onnx/vision_model.onnx",
    ),
    width=768,
    picture=PictureFormat(side=224, resample="bicubic"),
    mean=127.5,
    deviation=127.5,
    output="pooler_output",
    torch=TorchForm(
        architecture="SiglipVisionModel",
        revision="7fd15f0689c79d79e38b1c2e2e2370a7bf2761ed",
        hub=HubFiles(
            repository="google/siglip-base-patch16-224",
            graph="model.safetensors",
            others=("config.json",),
        ),
    ),
)

SIGLIP2 = ImageSpec(
    name="siglip2-base-patch16-224",
    revision=BRANCH,
    source=HubFiles(
        repository="onnx-community/siglip2-base-patch16-224-ONNX",
        graph="onnx/vision_model.onnx",
    ),
    width=768,
    picture=PictureFormat(side=224, resample="bilinear"),
    mean=127.5,
    deviation=127.5,
    output="pooler_output",
    torch=TorchForm(
        architecture="SiglipVisionModel",
        revision="75de2d55ec2d0b4efc50b3e9ad70dba96a7b2fa2",
        hub=HubFiles(
            repository="google/siglip2-base-patch16-224",
            graph="model.safetensors",
            others=("config.json",),
        ),
    ),
)

# SigLIP's text model, whose vectors are comparable to image vectors. It was trained on texts padded
# to 64 tokens, without a mask, so the padding influences the vector.
SIGLIP_TEXT = TextSpec(
    name=SIGLIP.name,
    revision=SIGLIP.revision,
    source=HubFiles(
        repository="Xenova/siglip-base-patch16-224",
        graph="onnx/text_model.onnx",
        others=("tokenizer.json",),
    ),
    width=768,
    max_tokens=64,
    pad_to=64,
    pad_token=1,
    end_token=1,
    pooling="graph",
    output="pooler_output",
    torch=TorchForm(
        architecture="SiglipTextModel",
        revision="7fd15f0689c79d79e38b1c2e2e2370a7bf2761ed",
        hub=HubFiles(
            repository="google/siglip-base-patch16-224",
            graph="model.safetensors",
            others=("config.json", "tokenizer.json"),
        ),
    ),
    column=IMAGE_WIDTH,
)

QWEN3 = TextSpec(
    name="qwen3-embedding-0.6b",
    revision=BRANCH,
    source=HubFiles(
        repository="Qdrant/Qwen3-Embedding-0.6B-onnx",
        graph="onnx/model.onnx",
        others=("onnx/model.onnx_data", "tokenizer.json"),
    ),
    width=1024,
    # The model reads up to 32,768 tokens. But the texts of products are short, and on two cores 512
    # tokens take 5 s of processor time and 0.1 GB, 2,048 tokens 34 s and 1.5 GB.
    max_tokens=512,
    pad_token=151_643,
    end_token=151_643,
    pooling="last",
    # The template with which the model was published (Qwen3-Embedding's README). There is no blank
    # after "Query:".
    query=f"Instruct: {QUERY_INSTRUCTION}\nQuery:{{text}}",
    shortest=32,  # "user-defined output dimensions ranging from 32 to 1024" (its README)
    torch=TorchForm(
        architecture="Qwen3Model",
        revision="b22da495047858cce924d27d76261e96be6febc0",
        hub=HubFiles(
            repository="Qwen/Qwen3-Embedding-0.6B",
            graph="model.safetensors",
            others=("config.json", "tokenizer.json"),
        ),
    ),
)

EFFICIENTNET_LITE0 = ImageSpec(
    name="efficientnet-lite0",
    revision="0.1.0",
    source=PackagedModel(builder="efficientnet_lite0"),
    width=768,
    picture=PictureFormat(side=224, resample="bicubic"),
    mean=127.0,
    deviation=128.0,
    is_centred=True,
)

EFFICIENTNET_LITE1_LITE2 = ImageSpec(
    name="efficientnet-lite1-lite2-int8",
    # The version of the packages, and the number of the table of ranges.
    revision="0.1.0.r1",
    source=PackagedModel(builder="efficientnet_lite1_lite2_int8"),
    width=768,
    picture=PictureFormat(side=224, resample="bicubic"),
    mean=127.0,
    deviation=128.0,
    is_centred=True,
)

WORDLLAMA = TextSpec(
    name="wordllama-l2-supercat-256",
    revision="0.4.0.post1",
    source=PackagedModel(
        builder="wordllama",
        tokenizer=PackagedFile(
            package="wordllama",
            path="tokenizers/l2_supercat_tokenizer_config.json",
            sha256="93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
        ),
    ),
    width=256,
    # A mean of words has no limit of its own. This limit bounds the work.
    max_tokens=1024,
    pad_token=0,
    pooling="graph",
    shortest=64,  # trained at 64, 128, 256, 512 and 1024 (WordLlama's README)
)

# `benchmarks/scan_quality.py --fit` prints these constants, and those of `image` below. The words
# were names of categories.
_GROCERIES = "202 labelled photos of groceries"
_GROCERY_COLORS = Evidence(sharp=0.124, broad=0.135, clear=0.376, absent=0.72, absent_slope=1.09)
_GROCERY_WORDS = Evidence(sharp=0.0815, broad=0.0804, clear=0.4, absent=5.52, absent_slope=8.1)

PAIRS: dict[str, Pair] = {
    "siglip-qwen3": Pair(image=SIGLIP, text=QWEN3),
    "lite": Pair(
        image=EFFICIENTNET_LITE1_LITE2,
        text=WORDLLAMA,
        calibration=Calibration(
            evidence={
                "image": Evidence(
                    sharp=0.0281, broad=0.07, clear=0.514, absent=1.63, absent_slope=3.79
                ),
                "text": _GROCERY_WORDS,
                "color": _GROCERY_COLORS,
            },
            source=_GROCERIES,
        ),
    ),
    "lite0": Pair(
        image=EFFICIENTNET_LITE0,
        text=WORDLLAMA,
        calibration=Calibration(
            evidence={
                "image": Evidence(
                    sharp=0.0149, broad=0.066, clear=0.298, absent=1.4, absent_slope=3.65
                ),
                "text": _GROCERY_WORDS,
                "color": _GROCERY_COLORS,
            },
            source=_GROCERIES,
        ),
    ),
}


def name_of_pair(image: str | None, text: str | None) -> str | None:
    """Return the name of the pair with these identities; None if no pair has them.

    An identity of None fits every model. Revisions are not compared.
    """
    names = (
        name
        for name, pair in PAIRS.items()
        if image is None or model_name(image) == pair.image.name
        if text is None or model_name(text) == pair.text.name
    )
    return next(names, None)


if TYPE_CHECKING:
    PairName = str
else:
    PairName = Literal[tuple(PAIRS)]
    """What `MODELS` may be: a type that pydantic checks."""
