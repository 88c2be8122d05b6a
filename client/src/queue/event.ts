/** What an event of Rekey's bus means for a source. */
export interface Fact {
  readonly kind: 'changed' | 'revoked' | 'halt' | 'resume';
  /** Name and id of the credential, as far as the event has them. */
  readonly names: readonly string[];
  /** When it was so, in milliseconds since 1970. */
  readonly at: number;
  readonly reason: string;
}

/** docs/events.md has all of them; the others need nothing of an agent. */
const KINDS: Readonly<Record<string, Fact['kind']>> = {
  'Credential Rotated': 'changed',
  'Credential Rotation Rolled Back': 'changed',
  'Credential Revoked': 'revoked',
  'Agents Halt': 'halt',
  'Agents Resume': 'resume',
};

/** Undefined where the text is no event, or none that an agent heeds. */
export function factOf(body: string): Fact | undefined {
  const event = parsed(body);
  const kind = KINDS[String(event?.['detail-type'])];
  const { detail } = event ?? {};
  if (event?.['source'] !== 'rekey' || kind === undefined || !isRecord(detail)) return undefined;
  const at = Date.parse(String(detail['time']));
  const names = [detail['credential'], detail['credentialId']].filter((name) => typeof name === 'string');
  if (Number.isNaN(at) || names.length === 0) return undefined;
  const { reason } = detail;
  return { kind, names, at, reason: typeof reason === 'string' ? reason : 'an emergency' };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
