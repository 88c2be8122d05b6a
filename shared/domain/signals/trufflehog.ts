import * as z from 'zod';
import { RekeyError } from '../errors.ts';
import { Redacted } from '../redacted.ts';
import { digestOf, fingerprintsOf, MAX_SIGNALS } from './signal.ts';

const finding = z.object({
  DetectorName: z.string().max(200).default(''),
  Verified: z.boolean().default(false),
  Raw: z.string().default(''),
  RawV2: z.string().default(''),
});

/** A line of the scanner's own log, which it writes as JSON as well. */
const logged = z.object({ level: z.string(), msg: z.string() });

/** One finding of a scanner by what may leave the machine that scanned. */
export interface Finding {
  /** The same for the same value. */
  readonly id: string;
  readonly detector: string;
  readonly fingerprints: readonly string[];
  readonly verified: boolean;
}

/**
 * The findings in the output of `trufflehog --json`, each value once; none where it is empty, or has the scanner's own log alone.
 * @throws RekeyError ERR_REQUEST where it is something else than that, or has too many; it never quotes a line
 */
export function trufflehogFindings(output: Redacted<string>): Finding[] {
  const found = new Map<string, Finding>();
  let strange = 0;
  for (const line of output.reveal().split('\n')) {
    const each = findingOf(line);
    if (each === 'strange') strange += 1;
    if (typeof each === 'string') continue;
    const known = found.get(each.id);
    found.set(each.id, known?.verified === true ? known : each);
  }
  if (found.size === 0 && strange > 0) {
    throw refusal(
      'there is no finding on standard input, and what is there is no output of `trufflehog --json`',
      'pipe it in: trufflehog git … --json | rekey incident signal --source trufflehog -',
    );
  }
  if (found.size > MAX_SIGNALS) {
    throw refusal(
      `there are more than ${MAX_SIGNALS} values in it`,
      'send them in parts, those that are verified first: split -l 50',
    );
  }
  return [...found.values()];
}

/** What a line tells: a finding, nothing (it is empty, or of the scanner's log), or what no scan prints. */
function findingOf(line: string): Finding | 'nothing' | 'strange' {
  if (line.trim() === '') return 'nothing';
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return 'strange';
  }
  if (logged.safeParse(json).success) return 'nothing';
  const parsed = finding.safeParse(json);
  if (!parsed.success) return 'strange';
  const { DetectorName: detector, Verified: verified, Raw, RawV2 } = parsed.data;
  const fingerprints = fingerprintsOf(new Redacted(Raw), new Redacted(RawV2));
  if (fingerprints.length === 0) return 'strange';
  return { id: digestOf(...fingerprints), detector, fingerprints, verified };
}

function refusal(message: string, remedy: string): RekeyError {
  return new RekeyError('ERR_REQUEST', message, { field: '-', remedy });
}
