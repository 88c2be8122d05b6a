/**
 * Requests and answers of the control API, version 1. Requests are strict: an unknown key is an error. Answers may
 * grow: readers ignore what they don't know and treat words such as phases as open sets, so that an older `rekey`
 * works with a newer deployment.
 */
export const API_VERSION = 'v1';

/** Carries a UUID that the caller chose; a repeated POST with the same one joins what the first began. */
export const IDEMPOTENCY_HEADER = 'idempotency-key';

/** Largest body that the API reads, in bytes. */
export const MAX_BODY_BYTES = 256 * 1024;

export * from './messages/common.ts';
export * from './messages/credentials.ts';
export * from './messages/rotations.ts';
export * from './messages/certificates.ts';
export * from './messages/roots.ts';
export * from './messages/consents.ts';
export * from './messages/families.ts';
export * from './messages/leave.ts';
export * from './messages/impact.ts';
export * from './messages/emergencies.ts';
export * from './messages/staged.ts';
export * from './messages/leaks.ts';
export * from './messages/signals.ts';
export * from './messages/pacts.ts';
export * from './messages/decommission.ts';
export * from './messages/plan.ts';
export * from './messages/inventory.ts';
export * from './messages/subscriptions.ts';
export * from './messages/audit.ts';
export * from './messages/forensics.ts';
export * from './messages/diagnosis.ts';
