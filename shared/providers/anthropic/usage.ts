import * as z from 'zod';
import type { Interval } from '../../domain/forensics/facts.ts';
import type { MeteredUse } from '../../domain/metering.ts';
import type { Api } from '../http/api.ts';
import { each, instantText, pagesByName } from '../http/meter.ts';

const PATH = '/organizations/analytics/usage';
/** The older report (`usage_report/messages`) counts tokens, and no requests. */
const BETA = { 'anthropic-beta': 'analytics-usage-cost-2026-08-24' };
const PER_PAGE = 1000;

const row = z.object({
  starting_at: instantText,
  ending_at: instantText,
  group: z.object({ api_key_id: z.string().nullish(), model: z.string().nullish() }),
  usage: z.object({ requests: z.number().nullable() }),
});

/** Requests with these keys, by key, model and minute. */
export async function requestsOf(
  api: Api,
  keyIds: readonly string[],
  { from, to }: Interval,
): Promise<MeteredUse[]> {
  const query = new URLSearchParams([
    ['starting_at', from],
    ['ending_at', to],
    ['time_bucket_width', '1m'],
    ['limit', String(PER_PAGE)],
    ...each('api_key_ids[]', keyIds),
    ...each('group_by[]', ['api_key_id', 'model']),
  ]);
  const rows = await pagesByName(api, PATH, query, row, BETA);
  return rows.flatMap(({ starting_at: start, ending_at: end, group, usage }) => {
    const { api_key_id: keyId, model } = group;
    if (keyId == null) return [];
    const counted = usage.requests === null ? {} : { requests: usage.requests };
    return [{ keyId, from: start, to: end, ...counted, ...(model == null ? {} : { scope: model }) }];
  });
}
