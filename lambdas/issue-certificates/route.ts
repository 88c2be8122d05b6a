import type {
  APIGatewayProxyEventV2 as ApiEvent,
  APIGatewayProxyStructuredResultV2 as ApiResponse,
} from 'aws-lambda';
import {
  certificateRequest,
  MAX_AGENT_BODY_BYTES,
  type CertificateAnswer,
} from '../../shared/api/agent-messages.ts';
import { isRekeyError, RekeyError } from '../../shared/domain/errors.ts';
import { issueCertificate, type IssuingDeps } from '../../shared/engine/certificates/issue.ts';
import { actorOf, BodyTooLarge, callOf, parse } from '../http/request.ts';
import { json, problem } from '../http/response.ts';

/** An answer; who asked, and what the log says of it. */
export interface Handled {
  readonly response: ApiResponse;
  readonly about: Readonly<Record<string, string>>;
  /** The error behind what Rekey didn't raise on purpose. */
  readonly unexpected?: unknown;
}

const FORM = 'docs/agents.md and docs/agent-api.openapi.json have the form of every request';

/** `POST /certificates`. Never throws: every error becomes a problem document. */
export async function answer(event: ApiEvent, deps: IssuingDeps): Promise<Handled> {
  const caller = actorOf(event);
  try {
    if (caller === undefined) {
      throw new RekeyError('ERR_FORBIDDEN', 'the request carries no caller', {
        remedy: 'sign the request with AWS Signature Version 4 (service execute-api)',
      });
    }
    const wish = parse(certificateRequest, callOf(event, caller, [], MAX_AGENT_BODY_BYTES).body(), FORM);
    const { certificate, bundle, leaf, renewAt } = await issueCertificate(deps, { ...wish, caller });
    const { id, serial, authority, notBefore, notAfter } = leaf;
    const body: CertificateAnswer = {
      certificate,
      bundle,
      id,
      serial,
      authority,
      notBefore,
      notAfter,
      renewAt,
    };
    return { response: json(201, body), about: { caller, id, serial, authority } };
  } catch (error) {
    const known = isRekeyError(error);
    return {
      response: problem(error, error instanceof BodyTooLarge ? 413 : undefined),
      about: { caller: caller ?? '', ...(known ? { code: error.code } : {}) },
      ...(known ? {} : { unexpected: error }),
    };
  }
}
