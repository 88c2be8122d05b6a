import { plusSeconds, toInstant, type Instant } from '../clock.ts';

/** A deadline of a duty to notify. Whether the duty applies is for a person to say. */
export interface NotificationClock {
  readonly regime: 'GDPR' | 'DORA' | 'HIPAA';
  readonly duty: string;
  /** From which moment it runs, in words, with that moment. */
  readonly runsFrom: string;
  readonly deadline: Instant;
  readonly applies: string;
}

/** What the clocks run from. */
export interface Moments {
  /** When somebody who has to know became aware. */
  readonly awareAt: Instant;
  /** When it was classified as a major incident; absent while nobody has. */
  readonly classifiedAt?: Instant;
}

const HOUR = 3600;

/**
 * The dated deadlines: GDPR Art. 33 and 34, DORA (Delegated Regulation 2025/301 Art. 5), HIPAA 45 CFR 164.404. Later reports of
 * DORA run from the submission of the one before, so theirs are the latest that are possible.
 */
export function clocksOf({ awareAt, classifiedAt }: Moments): NotificationClock[] {
  const dayAfter = plusSeconds(awareAt, 24 * HOUR);
  const fourHours = classifiedAt === undefined ? undefined : plusSeconds(classifiedAt, 4 * HOUR);
  // Whatever was classified as major only after that day has four hours from then.
  const isLate = classifiedAt !== undefined && classifiedAt > dayAfter;
  const initial = fourHours !== undefined && (isLate || fourHours < dayAfter) ? fourHours : dayAfter;
  const intermediate = plusSeconds(initial, 72 * HOUR);
  const major = 'a financial entity, where the incident is major';
  const clock = (
    regime: NotificationClock['regime'],
    duty: string,
    runsFrom: string,
    deadline: Instant,
    applies: string,
  ): NotificationClock => ({ regime, duty, runsFrom, deadline, applies });
  return [
    clock(
      'GDPR',
      'notify the supervisory authority',
      `72 hours after awareness (${awareAt})`,
      plusSeconds(awareAt, 72 * HOUR),
      'personal data may be breached, unless no risk to people is likely',
    ),
    ...(fourHours === undefined
      ? []
      : [
          clock(
            'DORA',
            'initial notification, by classification',
            `4 hours after classification as major (${classifiedAt ?? ''})`,
            fourHours,
            major,
          ),
        ]),
    ...(isLate
      ? []
      : [
          clock(
            'DORA',
            'initial notification, by awareness',
            `24 hours after awareness (${awareAt})`,
            dayAfter,
            major,
          ),
        ]),
    clock(
      'DORA',
      'intermediate report',
      `72 hours after the initial notification, at the latest (${initial})`,
      intermediate,
      major,
    ),
    clock(
      'DORA',
      'final report',
      `1 month after the intermediate report, at the latest (${intermediate})`,
      monthAfter(intermediate),
      major,
    ),
    clock(
      'HIPAA',
      'notify individuals (and the Secretary, where 500 or more are affected)',
      `60 days after discovery (${awareAt})`,
      plusSeconds(awareAt, 60 * 24 * HOUR),
      'unsecured protected health information may be breached',
    ),
  ];
}

/** The same day and time of the next month; its last day where it has no such day. */
export function monthAfter(instant: Instant): Instant {
  const date = new Date(instant);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + 1);
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, lastDay));
  return toInstant(date.getTime());
}
