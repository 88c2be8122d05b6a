import { RekeyError } from '../shared/domain/errors.ts';

/** Exit codes, as `rekey --help` lists them. */
export const EXIT = {
  ok: 0,
  /** Refused by Rekey or failed. */
  failed: 1,
  usage: 2,
  /** `audit`: the chain of records has faults. `doctor`: something must be mended. */
  faults: 3,
  /** Watched or waited for, and it did not end well: aborted, rolled back, preempted, or it needs a person. */
  unhappy: 4,
  /** The API or AWS did not answer. What was asked for may have begun. */
  unreachable: 5,
  /** `revoke --leaked`: the value was dead already, and the upstream has shown it again. */
  dead: 6,
  /** `revoke --leaked`: no credential ever had the value. */
  notOurs: 7,
  /** `revoke --leaked`: a person has to revoke it. */
  byHand: 8,
  /** `revoke --leaked`: nobody could confirm that it is dead. */
  notConfirmed: 9,
  /** `doctor`: something could not be checked, and nothing that was must be mended. */
  unchecked: 10,
} as const;

/** Whatever ends a command before its purpose, with what the user can do about it. */
export class Failure extends Error {
  readonly code: string;
  readonly exit: number;
  readonly field: string | undefined;
  readonly remedy: string | undefined;

  constructor(
    code: string,
    message: string,
    details: { exit?: number; field?: string | undefined; remedy?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'Failure';
    this.code = code;
    this.exit = details.exit ?? EXIT.failed;
    this.field = details.field;
    this.remedy = details.remedy;
  }

  toJSON(): { code: string; message: string; field?: string; remedy?: string } {
    return {
      code: this.code,
      message: this.message,
      ...(this.field === undefined ? {} : { field: this.field }),
      ...(this.remedy === undefined ? {} : { remedy: this.remedy }),
    };
  }
}

/** Several failures of one command, each of which was reported or is to be. */
export class Failures extends Failure {
  readonly all: readonly Failure[];
  /** How many of them are told to people, of what may be very many. */
  readonly shown: number;

  constructor(all: readonly Failure[], summary: string, shown = all.length, exit = all[0]?.exit) {
    super(all[0]?.code ?? 'ERR_REQUEST', summary, { exit: exit ?? EXIT.failed });
    this.all = all;
    this.shown = shown;
  }
}

/** Wrong usage of a command. */
export function usage(message: string, remedy?: string): Failure {
  return new Failure('ERR_USAGE', message, { exit: EXIT.usage, remedy });
}

/** Every failure that an error stands for, each with its own field and remedy. */
export function allOf(error: unknown): readonly Failure[] {
  if (error instanceof Failures) return error.all;
  if (error instanceof RekeyError) return [failureOf(error), ...error.also.map(failureOf)];
  return [failureOf(error)];
}

/** What has failed for one of many, with its name. */
export function failureAt(name: string, error: unknown): Failure {
  const { code, message, remedy, exit } = failureOf(error);
  return new Failure(code, `${name}: ${message}`, { field: name, remedy, exit });
}

/** What ends a command of which a part has failed: with the worst exit code of all, and of what else became of it. */
export function partly(all: readonly Failure[], ...others: readonly number[]): Failures {
  const exit = Math.max(...all.map((one) => one.exit), ...others);
  return new Failures(all, 'the others are done; run the command again for these', all.length, exit);
}

/** Any error as a failure; one of the domain keeps code, field and remedy. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof RekeyError) {
    return new Failure(error.code, error.message, { field: error.field, remedy: error.remedy, cause: error });
  }
  const message = error instanceof Error ? error.message : 'something unknown went wrong';
  return new Failure('ERR_INTERNAL', message, {
    remedy: 'this is a defect of rekey; REKEY_DEBUG=1 shows where it happened',
    cause: error,
  });
}
