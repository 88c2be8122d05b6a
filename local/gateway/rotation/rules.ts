import { isRecord, textOf } from '../../json.ts';

/** RotationRules of the Secrets Manager API. */
export interface RotationRules {
  readonly AutomaticallyAfterDays?: number;
  readonly Duration?: string;
  readonly ScheduleExpression?: string;
}

const hourMs = 3_600_000;
const rate = /^rate\((\d+) (hours?|days?)\)$/;
const cron = /^cron\(\S+ \S+ \S+ \S+ \S+ \S+\)$/;

/** Reads rotation rules from a request. */
export function rulesOf(value: unknown): RotationRules | undefined {
  if (!isRecord(value)) return undefined;
  const days = value['AutomaticallyAfterDays'];
  const duration = textOf(value['Duration']);
  const expression = textOf(value['ScheduleExpression']);
  return {
    ...(typeof days === 'number' ? { AutomaticallyAfterDays: days } : {}),
    ...(duration === undefined ? {} : { Duration: duration }),
    ...(expression === undefined ? {} : { ScheduleExpression: expression }),
  };
}

/** Says what is wrong with rotation rules, in the service's manner; undefined where nothing is. */
export function ruleError(rules: RotationRules): string | undefined {
  const { AutomaticallyAfterDays: days, ScheduleExpression: expression, Duration: duration } = rules;
  if (days !== undefined && expression !== undefined) {
    return 'You can only specify one of AutomaticallyAfterDays or ScheduleExpression.';
  }
  if (days !== undefined && (!Number.isInteger(days) || days < 1 || days > 1_000)) {
    return 'AutomaticallyAfterDays must be between 1 and 1000.';
  }
  if (duration !== undefined && !/^\d{1,2}h$/.test(duration))
    return 'Duration must be a number of hours such as 3h.';
  if (expression === undefined) return undefined;
  if (!rate.test(expression) && !cron.test(expression)) return 'Invalid ScheduleExpression.';
  const interval = rateMs(expression);
  return interval !== undefined && interval < 4 * hourMs
    ? 'The rotation interval must be at least four hours.'
    : undefined;
}

/** When the schedule fires next, in epoch seconds. Cron expressions aren't computed: the gateway never fires by itself. */
export function nextRotation(rules: RotationRules | undefined, lastMs: number): number | undefined {
  const interval =
    rules?.AutomaticallyAfterDays === undefined
      ? rateMs(rules?.ScheduleExpression ?? '')
      : rules.AutomaticallyAfterDays * 24 * hourMs;
  return interval === undefined ? undefined : Math.floor((lastMs + interval) / 1_000);
}

function rateMs(expression: string): number | undefined {
  const [, count, unit] = rate.exec(expression) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  return Number(count) * (unit.startsWith('day') ? 24 : 1) * hourMs;
}
