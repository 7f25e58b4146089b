"""Embeds with a client, as its documentation says, and prints the vectors as JSON.

    python python_clients.py CLIENT URL MODEL

`texts` has the vectors of three texts, `query` that of a query, and `refusal` the error of an empty
text beside another one. `version` is that of the client's package.
"""

import json
import sys
from importlib.metadata import version

TEXTS = ["a blue mug", "running shoes", "größer & ☕"]
QUERY = "mug"
KEY = "secret"


def with_openai(url: str, model: str) -> dict[str, object]:
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    answer = client.embeddings.create(model=model, input=TEXTS, user="u1")
    query = client.embeddings.create(model=model, input=QUERY, encoding_format="float")
    try:
        client.embeddings.create(model=model, input=["a", ""])
    except openai.BadRequestError as error:
        refusal = error.type
    models = [listed.id for listed in client.models.list()]
    return {
        "texts": [item.embedding for item in answer.data],
        "query": query.data[0].embedding,
        "refusal": refusal,
        "models": models,
    }


def with_langchain(url: str, model: str) -> dict[str, object]:
    import openai
    from langchain_openai import OpenAIEmbeddings

    client = OpenAIEmbeddings(
        model=model,
        base_url=f"{url}/v1",
        api_key=KEY,
        check_embedding_ctx_length=False,  # else it sends tokens of OpenAI's own models
    )
    try:
        client.embed_documents(["a", ""])
    except openai.BadRequestError as error:
        refusal = error.type
    return {
        "texts": client.embed_documents(TEXTS),
        "query": client.embed_query(QUERY),
        "refusal": refusal,
    }


def with_llama_index(url: str, model: str) -> dict[str, object]:
    import openai
    from llama_index.embeddings.openai import OpenAIEmbedding

    client = OpenAIEmbedding(
        model_name=model, api_base=f"{url}/v1", api_key=KEY, max_retries=0, num_workers=1
    )
    refusal = "empty_text"  # this client sends a blank for an empty text
    try:
        client.get_text_embedding_batch(["a", ""])
    except openai.BadRequestError as error:
        refusal = error.type
    return {
        "texts": client.get_text_embedding_batch(TEXTS),
        "query": client.get_query_embedding(QUERY),
        "refusal": refusal,
    }


def with_litellm(url: str, model: str) -> dict[str, object]:
    import litellm

    litellm.suppress_debug_info = True  # it would be printed among the JSON

    def embed(texts: list[str]) -> list[list[float]]:
        answer = litellm.embedding(
            model=f"openai/{model}", input=texts, api_base=f"{url}/v1", api_key=KEY, max_retries=0
        )
        return [item["embedding"] for item in answer.data]

    try:
        embed(["a", ""])
    except litellm.BadRequestError as error:
        refusal = "empty_text" if "there is no text to embed" in str(error) else str(error)
    return {"texts": embed(TEXTS), "query": embed([QUERY])[0], "refusal": refusal}


CLIENTS = {
    "openai": with_openai,
    "langchain-openai": with_langchain,
    "llama-index-embeddings-openai": with_llama_index,
    "litellm": with_litellm,
}

if __name__ == "__main__":
    name, *where = sys.argv[1:]
    sys.stdout.write(json.dumps({**CLIENTS[name](*where), "version": version(name)}))
