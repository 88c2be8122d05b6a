import type { CallKind } from './classify.ts';
import type { IamRequest } from './requests.ts';

/** One AWS call that went through the gateway. Bodies are never kept. */
export interface RecordedCall extends CallKind {
  readonly seq: number;
  /** When the call arrived, ISO 8601. */
  readonly at: string;
  readonly durationMs: number;
  /** HTTP status given to the caller; 0 where the connection was cut. */
  readonly status: number;
  /** AWS's error code, where the answer was one. */
  readonly error?: string;
  /** What the gateway did to it on purpose. */
  readonly fault?: string;
  readonly userAgent?: string;
  /** What IAM is asked about a call of a function; absent where `requests.ts` doesn't know the operation. */
  readonly asks?: readonly IamRequest[];
}

/** Which calls to return; all that are given must hold. */
export interface CallFilter {
  readonly service?: string;
  readonly operation?: string;
  readonly function?: string;
  readonly resource?: string;
  /** Only calls with a higher `seq`. */
  readonly after?: number;
}

/** The last calls, oldest first; older ones fall out. */
export class Recorder {
  #calls: RecordedCall[] = [];
  #seq = 0;
  readonly #limit: number;

  constructor(limit = 200_000) {
    this.#limit = limit;
  }

  add(call: Omit<RecordedCall, 'seq'>): void {
    this.#calls.push({ seq: ++this.#seq, ...call });
    // Trimmed in blocks: shifting one by one would move the whole array at each call.
    if (this.#calls.length > this.#limit * 1.1) this.#calls = this.#calls.slice(-this.#limit);
  }

  /** The number of the newest call: remember it, then ask for what came `after`. */
  get seq(): number {
    return this.#seq;
  }

  calls(filter: CallFilter = {}): readonly RecordedCall[] {
    return this.#calls.filter(
      (call) =>
        call.seq > (filter.after ?? 0) &&
        (filter.service === undefined || call.service === filter.service) &&
        (filter.operation === undefined || call.operation === filter.operation) &&
        (filter.function === undefined || call.function === filter.function) &&
        (filter.resource === undefined || call.resource === filter.resource),
    );
  }

  clear(): void {
    this.#calls = [];
  }
}
