"""The table of the models that run in this process.

A new pair needs a row in `PAIRS`, the rows of its models, and a reference vector in a test.
Loading, settings, calibration, `shelfsight models --list` and the docs know only what is here.
"""

from shelfsight.models.calibration import Calibration, Evidence
from shelfsight.models.specs import (
    Facts,
    HubFiles,
    ImageSpec,
    PackagedFile,
    PackagedModel,
    Pair,
    Precision,
    SmallForm,
    TextSpec,
    TorchForm,
)
from shelfsight.records import BRANCH, IMAGE_WIDTH, PictureFormat

QUERY_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
"""The instruction for a search query, with which Qwen3-Embedding was published."""

APACHE = Facts(licence="Apache-2.0")

# `benchmarks/scan_quality.py --fit` prints these constants, and those of the image models. The
# words were names of categories.
_GROCERIES = "202 labelled photos of groceries"
_GROCERY_COLORS = Evidence(sharp=0.124, broad=0.135, clear=0.376, absent=0.72, absent_slope=1.09)
_GROCERY_WORDS = Evidence(sharp=0.0815, broad=0.0804, clear=0.4, absent=5.52, absent_slope=8.1)


def _siglip_forms(repository: str, revision: str) -> tuple[SmallForm, ...]:
    """Return the smaller forms of an image model, as exports for Transformers.js call them."""
    named: list[tuple[Precision, str, int]] = [
        ("fp16", "onnx/vision_model_fp16.onnx", 186_000_000),
        ("int8", "onnx/vision_model_int8.onnx", 99_000_000),
    ]
    return tuple(
        SmallForm(
            precision=precision,
            revision=revision,
            hub=HubFiles(repository=repository, graph=graph, size=size),
        )
        for precision, graph, size in named
    )


SIGLIP = ImageSpec(
    name="siglip-base-patch16-224",
    revision="294847d6b5fe86c91330269da98ce112d6c75e7e",
    source=HubFiles(
        repository="Xenova/siglip-base-patch16-224",
        graph="onnx/vision_model.onnx",
        size=372_000_000,
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
    small=_siglip_forms(
        "Xenova/siglip-base-patch16-224", "294847d6b5fe86c91330269da98ce112d6c75e7e"
    ),
    facts=APACHE,
)

SIGLIP2 = ImageSpec(
    name="siglip2-base-patch16-224",
    revision="ba1f3b0843f24bc5417d38e19c37b287d719b2f4",
    source=HubFiles(
        repository="onnx-community/siglip2-base-patch16-224-ONNX",
        graph="onnx/vision_model.onnx",
        size=372_000_000,
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
    small=_siglip_forms(
        "onnx-community/siglip2-base-patch16-224-ONNX",
        "ba1f3b0843f24bc5417d38e19c37b287d719b2f4",
    ),
    facts=APACHE,
)

SIGLIP2_SO400M = ImageSpec(
    name="siglip2-so400m-patch14-384",
    revision=BRANCH,
    source=HubFiles(
        repository="onnx-community/siglip2-so400m-patch14-384-ONNX",
        graph="onnx/vision_model.onnx",
        size=1_713_000_000,
    ),
    width=1152,
    picture=PictureFormat(side=384, resample="bilinear"),
    mean=127.5,
    deviation=127.5,
    output="pooler_output",
    torch=TorchForm(
        architecture="SiglipVisionModel",
        revision="e8e487298228002f3d8a82e0cd5c8ea9c567f57f",
        hub=HubFiles(
            repository="google/siglip2-so400m-patch14-384",
            graph="model.safetensors",
            others=("config.json",),
            size=4_580_000_000,
        ),
    ),
    facts=APACHE,
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


def _qwen3_form(precision: Precision, graph: str, size: int) -> SmallForm:
    return SmallForm(
        precision=precision,
        revision="c25a394dd583836952667c12f008335071b3f43d",
        hub=HubFiles(
            repository="onnx-community/Qwen3-Embedding-0.6B-ONNX",
            graph=graph,
            others=("tokenizer.json",),
            size=size,
        ),
    )


QWEN3 = TextSpec(
    name="qwen3-embedding-0.6b",
    revision=BRANCH,
    source=HubFiles(
        repository="Qdrant/Qwen3-Embedding-0.6B-onnx",
        graph="onnx/model.onnx",
        others=("onnx/model.onnx_data", "tokenizer.json"),
        size=2_400_000_000,
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
    small=(
        _qwen3_form("fp16", "onnx/model_fp16.onnx", 1_200_000_000),
        _qwen3_form("int8", "onnx/model_int8.onnx", 625_000_000),
    ),
    facts=APACHE,
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
    calibration=Calibration(
        evidence={
            "image": Evidence(
                sharp=0.0149, broad=0.066, clear=0.298, absent=1.4, absent_slope=3.65
            ),
            "color": _GROCERY_COLORS,
        },
        source=_GROCERIES,
    ),
    facts=Facts(
        licence="Apache-2.0",
        figures="right product first for 0.53 of photos of groceries, among five for 0.80",
    ),
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
    calibration=Calibration(
        evidence={
            "image": Evidence(
                sharp=0.0281, broad=0.07, clear=0.514, absent=1.63, absent_slope=3.79
            ),
            "color": _GROCERY_COLORS,
        },
        source=_GROCERIES,
    ),
    facts=Facts(
        licence="Apache-2.0",
        figures="right product first for 0.52 of photos of groceries, among five for 0.84",
    ),
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
    calibration=Calibration(evidence={"text": _GROCERY_WORDS}, source=_GROCERIES),
    facts=Facts(licence="MIT"),
)

PAIRS: dict[str, Pair] = {
    "siglip-qwen3": Pair(image=SIGLIP, text=QWEN3, use="photos of anything, long texts"),
    "siglip2-qwen3": Pair(
        image=SIGLIP2, text=QWEN3, use="as siglip-qwen3, with the newer image model"
    ),
    "large-qwen3": Pair(
        image=SIGLIP2_SO400M,
        text=QWEN3,
        use="small details, by 384 x 384 pixels; needs a GPU",
    ),
    "lite": Pair(
        image=EFFICIENTNET_LITE1_LITE2,
        text=WORDLLAMA,
        use="a small machine, without a download; short texts in English",
    ),
    "lite0": Pair(
        image=EFFICIENTNET_LITE0,
        text=WORDLLAMA,
        use="vectors that the former lite has made",
    ),
}
