import * as z from 'zod';
import { fromInstant, toInstant } from '../../domain/clock.ts';
import type { Interval } from '../../domain/forensics/facts.ts';
import type { MeteredUse } from '../../domain/metering.ts';
import type { Api } from '../http/api.ts';
import { each, pagesByName } from '../http/meter.ts';

/**
 * What OpenAI counts by key and model. Calls of its tools (file search, web search) come within these requests, and would be
 * counted twice.
 */
const COUNTED = [
  'completions',
  'embeddings',
  'moderations',
  'images',
  'audio_speeches',
  'audio_transcriptions',
] as const;
/** Minutes on one page: an answer stays far below what is read of one. */
const PER_PAGE = 360;

const bucket = z.object({
  start_time: z.number(),
  end_time: z.number(),
  results: z.array(
    z.object({
      api_key_id: z.string().nullish(),
      model: z.string().nullish(),
      num_model_requests: z.number(),
    }),
  ),
});

/** Requests with these keys, by key, model and minute. */
export async function requestsOf(
  api: Api,
  project: string,
  keyIds: readonly string[],
  { from, to }: Interval,
): Promise<MeteredUse[]> {
  const query = new URLSearchParams([
    ['start_time', seconds(from)],
    ['end_time', seconds(to)],
    ['bucket_width', '1m'],
    ['limit', String(PER_PAGE)],
    ['project_ids', project],
    ...each('api_key_ids', keyIds),
    ...each('group_by', ['api_key_id', 'model']),
  ]);
  const found: MeteredUse[] = [];
  // One after another: they share a limit of the organization.
  for (const counted of COUNTED) {
    const buckets = await pagesByName(api, `/organization/usage/${counted}`, query, bucket);
    for (const { start_time: start, end_time: end, results } of buckets) {
      const time = { from: toInstant(start * 1000), to: toInstant(end * 1000) };
      for (const { api_key_id: keyId, model, num_model_requests: requests } of results)
        if (keyId != null)
          found.push({ keyId, ...time, requests, ...(model == null ? {} : { scope: model }) });
    }
  }
  return found;
}

function seconds(instant: string): string {
  return String(fromInstant(instant) / 1000);
}
