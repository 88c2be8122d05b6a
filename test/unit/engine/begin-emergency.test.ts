import { describe, expect, it } from 'vitest';
import { emergencyOf, PART, startInParts, startOnce } from '../../../shared/engine/begin-emergency.ts';
import type { EmergencyInput, EmergencyStatus } from '../../../shared/ports/workflow.ts';

const ids = (...names: string[]): EmergencyInput['credentials'] =>
  names.map((credentialId) => ({ credentialId }));
const asked = (credentials: EmergencyInput['credentials'], more: Partial<EmergencyInput> = {}) => ({
  incidentId: 'INC-1',
  reason: 'leaked',
  actor: 'responder',
  startedAt: '2026-11-26T10:00:00.000Z',
  replace: true,
  credentials,
  ...more,
});

/** Executions by their names: what runs under one stays. */
function executions() {
  const running = new Map<string, EmergencyInput>();
  const workflow = {
    startEmergency: async (id: string, input: EmergencyInput) => {
      if (!running.has(id)) running.set(id, input);
      return Promise.resolve(running.get(id) ?? input);
    },
  };
  const all = () =>
    [...running].map(([id, { credentials }]) => [id, credentials.map(({ credentialId }) => credentialId)]);
  return { workflow, all };
}

describe('an emergency that a person asks for', () => {
  it('is one execution up to a thousand, and one more for each thousand beyond, in their order', async () => {
    const { workflow, all } = executions();
    const many = ids(...Array.from({ length: 2 * PART + 1 }, (_, n) => `c${n}`));
    await startInParts(workflow, 'small', asked(many.slice(0, PART)));
    expect(await startInParts(workflow, 'large', asked(many))).toEqual(many);
    expect(all().map(([id, part]) => [id, part?.length])).toEqual([
      ['small', PART],
      ['large', PART],
      ['large-2', PART],
      ['large-3', 1],
    ]);
  });

  it('asked for again under its key revokes nothing twice, and what is new beside it, however often', async () => {
    const { workflow, all } = executions();
    await startInParts(workflow, 'key', asked(ids('a', 'b')));
    const later = { startedAt: '2026-11-26T10:00:05.000Z', actor: 'another' };
    // What is not named any more goes on all the same.
    expect(await startInParts(workflow, 'key', asked(ids('b'), later))).toEqual(ids('a', 'b'));
    expect(await startInParts(workflow, 'key', asked(ids('c', 'b'), later))).toEqual(ids('a', 'b', 'c'));
    await startInParts(workflow, 'key', asked(ids('d', 'c', 'a'), later));
    await startInParts(workflow, 'key', asked(ids('a', 'b', 'c', 'd'), later));
    expect(all()).toEqual([
      ['key', ['a', 'b']],
      ['key-2', ['c']],
      ['key-3', ['d']],
    ]);
  });

  it.each([
    ['incident', { incidentId: 'INC-2' }],
    ['replacement', { replace: false }],
  ])('is a conflict under the key of one with another %s', async (_what, more) => {
    const { workflow, all } = executions();
    await startInParts(workflow, 'key', asked(ids('a')));
    await expect(startInParts(workflow, 'key', asked(ids('a', 'b'), more))).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      remedy: expect.stringContaining('fresh key') as unknown,
    });
    expect(all()).toHaveLength(1);
  });
});

describe('an emergency that a signal asks for', () => {
  it('is joined by the same, also once something of it has ended, and takes nothing that its caps have not counted', async () => {
    const { workflow, all } = executions();
    await startOnce(workflow, 'signal', asked(ids('a', 'b')));
    await startOnce(workflow, 'signal', asked(ids('b')));
    await expect(startOnce(workflow, 'signal', asked(ids('b', 'c')))).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
    });
    expect(all()).toEqual([['signal', ['a', 'b']]]);
  });
});

describe('how an emergency in parts stands', () => {
  const began = '2026-11-26T10:00:00.000Z';
  const done = (at: number, ...of: string[]): EmergencyStatus => ({
    status: 'SUCCEEDED',
    startedAt: began,
    endedAt: `2026-11-26T10:0${at}:00.000Z`,
    results: of.map((credentialId) => ({ credentialId, status: 'replaced' })),
  });
  const standing = (...parts: EmergencyStatus[]) =>
    emergencyOf({ emergency: async (id) => Promise.resolve(parts[Number(id.split('-')[1] ?? 1) - 1]) }, 'e');

  it('is that of its execution where there is one, and nothing where there is none', async () => {
    expect(await standing(done(1, 'a'))).toEqual(done(1, 'a'));
    expect(await standing()).toBeUndefined();
  });

  it('is done with the results of all once each is, at the end of the last', async () => {
    expect(await standing(done(2, 'a'), done(1, 'b'))).toEqual(done(2, 'a', 'b'));
  });

  it('is under way while any is, and has failed where any has', async () => {
    const running = { status: 'RUNNING', startedAt: began };
    expect(await standing({ ...done(1), status: 'FAILED' }, running)).toMatchObject(running);
    expect(await standing({ ...done(1), status: 'FAILED' }, running)).not.toHaveProperty('endedAt');
    expect(await standing(done(1, 'a'), { ...done(2), status: 'FAILED' })).toMatchObject({
      status: 'FAILED',
      endedAt: done(2).endedAt,
    });
  });
});
