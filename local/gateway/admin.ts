import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { faultRuleSchema } from './fault-rule.ts';
import type { Faults } from './faults.ts';
import type { CallFilter, Recorder } from './recorder.ts';
import type { SecretsManager } from './rotation/secrets-manager.ts';
import { AwsError } from './upstream.ts';
import { jsonAnswer, parseBody, readBody, type WireAnswer } from './wire.ts';

interface Parts {
  readonly recorder: Recorder;
  readonly faults: Faults;
  readonly secrets: SecretsManager;
}

const maxAdminBytes = 64 * 1024;
const json = 'application/json';

/** The gateway's own endpoints under `/_rekey/`, for tests and tools in other processes. */
export async function answerAdmin(parts: Parts, request: IncomingMessage): Promise<WireAnswer> {
  const url = new URL(request.url ?? '/', 'http://gateway');
  const route = `${request.method ?? 'GET'} ${url.pathname}`;
  const { recorder, faults, secrets } = parts;
  try {
    switch (route) {
      case 'GET /_rekey/health':
        return ok({ ok: true });
      case 'GET /_rekey/calls':
        return ok({ seq: recorder.seq, calls: recorder.calls(filterOf(url.searchParams)) });
      case 'DELETE /_rekey/calls':
        recorder.clear();
        return ok({});
      case 'GET /_rekey/faults':
        return ok({ faults: faults.list() });
      case 'POST /_rekey/faults': {
        faults.add(faultRuleSchema.parse(await body(request)));
        return ok({ faults: faults.list().length });
      }
      case 'DELETE /_rekey/faults':
        faults.clear();
        return ok({});
      case 'GET /_rekey/rotations':
        return ok({ rotations: secrets.jobs });
      case 'POST /_rekey/rotations/fire': {
        const { SecretId } = z.strictObject({ SecretId: z.string().min(1) }).parse(await body(request));
        return ok({ VersionId: await secrets.fireSchedule(SecretId) });
      }
      default:
        return jsonAnswer(404, { error: `No such endpoint: ${route}` }, json);
    }
  } catch (error) {
    const message = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    const known = error instanceof z.ZodError || error instanceof RangeError || error instanceof AwsError;
    return jsonAnswer(known ? 400 : 409, { error: message }, json);
  }
}

function ok(value: unknown): WireAnswer {
  return jsonAnswer(200, value, json);
}

async function body(request: IncomingMessage): Promise<unknown> {
  return parseBody(json, await readBody(request, maxAdminBytes));
}

function filterOf(query: URLSearchParams): CallFilter {
  const fields = ['service', 'operation', 'function', 'resource'] as const;
  const given = fields.flatMap((field) => {
    const value = query.get(field);
    return value === null ? [] : [[field, value] as const];
  });
  const after = Number(query.get('after') ?? 0);
  return { ...Object.fromEntries(given), ...(Number.isSafeInteger(after) ? { after } : {}) };
}
