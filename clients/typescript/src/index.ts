/** Client for Shelfsight's quick scans; its types are made from the server's OpenAPI document. */
import { EventSourceParserStream } from "eventsource-parser/stream";
import createClient, { type Client } from "openapi-fetch";

import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];
export type ScanRequest = Schemas["ScanBody"];
export type PhotoRequest = Pick<ScanRequest, "imageUrl" | "imageBase64" | "images">;
export type Box = Schemas["BoxResponse"];
export type ScanResponse = Schemas["ScanResponse"];
export type PhotoResult = Schemas["PhotoResultResponse"];
export type Match = Schemas["MatchResponse"];
export type Matches = Schemas["MatchesResponse"];
export type Progress = Schemas["ScanProgress"];
export type Problem = Schemas["ProblemDetails"];
export type FeedbackRequest = Schemas["FeedbackBody"];
export type FeedbackResponse = Schemas["FeedbackResponse"];
export type Readiness = Schemas["Readiness"];
export type SimilarOptions = NonNullable<
  paths["/products/{id}/similar"]["get"]["parameters"]["query"]
>;

/** An event of a streamed scan: photos as they are done, and at the end the whole response. */
export type ScanEvent =
  | { event: "progress"; data: Progress }
  | { event: "photo"; data: PhotoResult }
  | { event: "end"; data: ScanResponse };

export interface ClientOptions {
  /** An API key; a server without keys answers its own machine without one. */
  apiKey?: string;
  /** Used instead of the global `fetch`. */
  fetch?: (request: Request) => Promise<Response>;
}

/** The server refused a request, or could not answer it. */
export class ShelfsightError extends Error {
  /** The HTTP status. */
  readonly status: number;
  /** A stable word, such as `not_an_image` or `rate_limited`. */
  readonly kind: string;
  /** Seconds after which to try again, if the server says so. */
  readonly retryAfter: number | undefined;

  constructor(status: number, problem: Partial<Problem>, retryAfter?: string | null) {
    super(problem.detail ?? `the server answered with status ${status}`);
    this.name = "ShelfsightError";
    this.status = status;
    this.kind = problem.type?.split(":").at(-1) ?? "unknown";
    this.retryAfter = retryAfter ? Number(retryAfter) : undefined;
  }
}

/** A Shelfsight server. Every method throws `ShelfsightError` if the server refuses. */
export class Shelfsight {
  readonly #client: Client<paths>;

  /** `url` is the address of `shelfsight serve`, such as `https://scan.shop.example`. */
  constructor(url: string, options: ClientOptions = {}) {
    const { apiKey, fetch } = options;
    this.#client = createClient<paths>({
      baseUrl: url.replace(/\/+$/, ""),
      ...(apiKey && { headers: { Authorization: `Bearer ${apiKey}` } }),
      ...(fetch && { fetch }),
    });
  }

  /** Find the products that photos (addresses or base64) show, words describe, or both. */
  async scan(request: ScanRequest, signal?: AbortSignal): Promise<ScanResponse> {
    return answer(
      await this.#client.POST("/products/orchestrate/quick-scan", { body: request, signal }),
    );
  }

  /** Find the products that photo files show, such as those of `<input type="file">`. */
  async scanFiles(
    files: Blob | readonly Blob[],
    request: Omit<ScanRequest, "images" | "imageUrl" | "imageBase64"> = {},
    signal?: AbortSignal,
  ): Promise<ScanResponse> {
    return answer(
      await this.#client.POST("/products/orchestrate/quick-scan", {
        body: request,
        bodySerializer: () => form([files].flat(), request),
        signal,
      }),
    );
  }

  /** Find the things in a photo that have some space between them; scan each with `box`. */
  async boxes(photo: PhotoRequest, signal?: AbortSignal): Promise<Box[]> {
    const { boxes } = answer(
      await this.#client.POST("/products/orchestrate/boxes", { body: photo, signal }),
    );
    return boxes;
  }

  /** Scan as `scan` does; yield each photo's result as soon as it is there. */
  async *stream(request: ScanRequest, signal?: AbortSignal): AsyncGenerator<ScanEvent> {
    const result = await this.#client.POST("/products/orchestrate/quick-scan/stream", {
      body: request,
      parseAs: "stream",
      signal,
    });
    const body = answer<ReadableStream<Uint8Array> | null | undefined>(result);
    if (!body) throw new ShelfsightError(result.response.status, { detail: "no stream came" });
    const text = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>);
    const reader = text.pipeThrough(new EventSourceParserStream()).getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) throw new ShelfsightError(200, { detail: "the stream broke off" });
        const data = JSON.parse(value.data);
        if (value.event === "error") throw new ShelfsightError(data.status, data);
        yield { event: value.event, data } as ScanEvent;
        if (value.event === "end") return;
      }
    } finally {
      await reader.cancel();
    }
  }

  /** Find the products most like a stored one, whose variant has this id. */
  async similar(id: string, query: SimilarOptions = {}): Promise<Matches> {
    return answer(
      await this.#client.GET("/products/{id}/similar", { params: { path: { id }, query } }),
    );
  }

  /** Say whether a match of a scan was right. */
  async feedback(feedback: FeedbackRequest): Promise<FeedbackResponse> {
    return answer(await this.#client.POST("/products/feedback", { body: feedback }));
  }

  /** Ask whether scans can be answered now; `problems` say why not. */
  async ready(): Promise<Readiness> {
    const { data, error, response } = await this.#client.GET("/ready");
    const readiness: Readiness | undefined = data ?? error;
    if (readiness) return readiness;
    throw new ShelfsightError((response as Response).status, {});
  }
}

interface Result<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

function answer<T>({ data, error, response }: Result<T>): T {
  if (response.ok) return data as T;
  const problem = typeof error === "object" && error !== null ? error : {};
  throw new ShelfsightError(response.status, problem, response.headers.get("Retry-After"));
}

function form(files: readonly Blob[], fields: object): FormData {
  const data = new FormData();
  for (const file of files) data.append("file", file);
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue;
    data.append(name, typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  return data;
}
