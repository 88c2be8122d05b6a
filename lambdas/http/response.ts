import type { APIGatewayProxyStructuredResultV2 as ApiResponse } from 'aws-lambda';
import { PROBLEM_TYPE, problemOf } from '../../shared/api/problems.ts';
import { RekeyError } from '../../shared/domain/errors.ts';

/** An answer that no cache keeps. */
export function json(status: number, body: unknown): ApiResponse {
  return {
    statusCode: status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: JSON.stringify(body),
  };
}

/** A refusal as a problem document. */
export function problem(error: unknown, status?: number): ApiResponse {
  const document = problemOf(error, status);
  return {
    statusCode: document.status,
    headers: { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' },
    body: JSON.stringify(document),
  };
}

/** 405 with the methods that are possible (RFC 9110, section 15.5.6). */
export function notAllowed(method: string, methods: readonly string[]): ApiResponse {
  const allow = methods.join(', ');
  const error = new RekeyError('ERR_REQUEST', `${method} is not possible here`, { remedy: `use ${allow}` });
  const response = problem(error, 405);
  return { ...response, headers: { ...response.headers, allow } };
}
