/** A key of a user: an access key, or one for Bedrock. */
export interface FakeAccessKey {
  readonly id: string;
  readonly secret: string;
  readonly createdAt: number;
  active: boolean;
  lastUsed?: number;
  /** How many uses are still refused: a new key spreads slowly. */
  refusals: number;
}

/** A user with all that hangs on it. */
export interface FakeUser {
  readonly name: string;
  readonly path: string;
  readonly keys: Map<string, FakeAccessKey>;
  readonly bedrockKeys: Map<string, FakeBedrockKey>;
  readonly tags: Map<string, string>;
  readonly policies: Map<string, string>;
}

/** A user's key for Bedrock, which IAM calls a credential of one service. */
export interface FakeBedrockKey extends FakeAccessKey {
  /** Days after which it ends by itself, as they were asked for. */
  readonly ageDays: string | null;
}

/** What IAM refuses. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, code: string) {
    // AWS quotes what it was sent; nothing of it may come out at the other end.
    super('wJalrXUtnFEMI/K7MDENG/quoted-by-the-upstream');
    this.name = code;
    this.status = status;
  }
}

/** IAM tells whole seconds. */
export function stamp(time: number): string {
  return new Date(time).toISOString().replace(/\.\d{3}/, '');
}

/** It may answer fewer than there are: here three at a time. */
export function page(list: string, all: readonly string[], parameters: URLSearchParams): string {
  const from = Number(parameters.get('Marker') ?? 0);
  const more = from + 3 < all.length;
  const inner = all.slice(from, from + 3).map((each) => `<member>${each}</member>`);
  const marker = more ? `<Marker>${from + 3}</Marker>` : '';
  return `<${list}>${inner.join('')}</${list}><IsTruncated>${more}</IsTruncated>${marker}`;
}
