/** What an instance has to know of a credential now (docs/agents.md). A state, not a message: it can't be lost. */
export interface Notice {
  readonly credential: string;
  readonly secret: string;
  /** steady, announced, deferred, rotating, window, rolling-back or halted; more may come. */
  readonly state: string;
  readonly rotation?: string;
  /** The version to hold; absent while halted. */
  readonly versionId?: string;
  readonly fingerprint?: string;
  readonly formerVersionId?: string;
  /** Versions never to use again. */
  readonly tombstoned: readonly string[];
  /** RFC 3339, as every time here. */
  readonly rotatesAt?: string;
  readonly checkpointBy?: string;
  /** The instance moves no sooner. */
  readonly moveFrom?: string;
  /** An acknowledgement is missing. */
  readonly acknowledge: boolean;
  /** By what it is proven: `signature`, `seen`; absent: by the value. More may come. */
  readonly proof?: string;
  /** Now, whatever the instance does. */
  readonly urgent: boolean;
  /** The upstream refuses the version to hold until people have decided on a report of a leak. Absent: it doesn't. */
  readonly suspended?: boolean;
}

/** The notices of an answer; undefined where it has another form. */
export function noticesIn(body: unknown): readonly Notice[] | undefined {
  const { notices } = (body ?? {}) as { notices?: unknown };
  return Array.isArray(notices) && notices.every(isNotice) ? notices : undefined;
}

const TEXTS = [
  'rotation',
  'versionId',
  'fingerprint',
  'rotatesAt',
  'checkpointBy',
  'moveFrom',
  'proof',
] as const;

function isNotice(value: unknown): value is Notice {
  if (typeof value !== 'object' || value === null) return false;
  const notice = value as Partial<Record<keyof Notice, unknown>>;
  return (
    typeof notice.credential === 'string' &&
    typeof notice.state === 'string' &&
    Array.isArray(notice.tombstoned) &&
    notice.tombstoned.every((versionId) => typeof versionId === 'string') &&
    TEXTS.every((name) => notice[name] === undefined || typeof notice[name] === 'string')
  );
}
