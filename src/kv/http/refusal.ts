/** An answer other than success, thrown by whoever finds the reason. The body is for the client's eyes. */
export class Refusal extends Error {
  readonly status: number;
  readonly body: string;
  /** Further headers: name, value, name, value … */
  readonly headers: readonly string[];

  constructor(status: number, body: string, headers: readonly string[] = []) {
    super(`${status} ${body}`);
    this.name = 'Refusal';
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}
