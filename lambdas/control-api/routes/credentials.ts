import {
  inventoryQuery,
  listQuery,
  registerRequest,
  type InventoryAnswer,
  type ListAnswer,
  type PlanAnswer,
  type RegisterAnswer,
  type ShowAnswer,
} from '../../../shared/api/messages.ts';
import { credentialView, planView, readerView } from '../../../shared/api/views.ts';
import { parseEntry } from '../../../shared/domain/declaration.ts';
import { sightings } from '../../../shared/domain/readers.ts';
import { revocationsByHand } from '../../../shared/providers/by-hand.ts';
import { active, credentialOf, seen } from '../lookup.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

const ROTATIONS_SHOWN = 20;

export async function list({ query }: Call, { ledger, clock }: ControlServices): Promise<Done<ListAnswer>> {
  const { page } = parse(listQuery, query);
  const { items, next } = await ledger.list(page);
  const credentials = await Promise.all(
    items.map(async (credential) => credentialView(credential, await active(ledger, credential), clock())),
  );
  return { status: 200, body: { credentials, ...(next === undefined ? {} : { next }) } };
}

export async function show(
  { params: [name = ''] }: Call,
  services: ControlServices,
): Promise<Done<ShowAnswer>> {
  const { ledger, readers, clock } = services;
  const credential = await credentialOf(ledger, name);
  const rotations = await ledger.rotations(credential.id, ROTATIONS_SHOWN);
  const current =
    rotations.find(({ id }) => id === credential.activeRotation) ?? (await active(ledger, credential));
  return {
    status: 200,
    body: {
      credential: {
        ...credentialView(credential, undefined, clock()),
        ...(current === undefined ? {} : { rotation: await seen(services, credential, current) }),
      },
      rotations: await Promise.all(rotations.map((rotation) => seen(services, credential, rotation))),
      manualRevocation: (await revocationsByHand(credential)).map(({ handle: { id, generation }, text }) => ({
        handle: { id, generation },
        text,
      })),
      readers: sightings(await readers.of(credential.secretName), credential.holders, current).map(
        readerView,
      ),
    },
  };
}

export async function register(call: Call, services: ControlServices): Promise<Done<RegisterAnswer>> {
  const { declaration, dryRun } = parse(registerRequest, call.body());
  const entry = parseEntry(declaration);
  const {
    outcome,
    changes,
    notices = [],
    credential,
  } = await services.register({
    declaration: entry,
    actor: call.actor,
    dryRun,
  });
  return {
    status: outcome === 'registered' && !dryRun ? 201 : 200,
    body: {
      outcome,
      dryRun,
      changes: [...changes],
      notices: [...notices],
      ...(credential === undefined ? {} : { credential: credentialView(credential) }),
    },
  };
}

export async function plan({ query }: Call, { ledger, clock }: ControlServices): Promise<Done<PlanAnswer>> {
  const { page } = parse(listQuery, query);
  const { items, next } = await ledger.list(page);
  const entries = items.map((credential) => planView(credential, clock()));
  return { status: 200, body: { plan: entries, ...(next === undefined ? {} : { next }) } };
}

export async function inventory({ query }: Call, services: ControlServices): Promise<Done<InventoryAnswer>> {
  const { ledger, readers } = services;
  const { secrets, next } = await services.inventory(parse(inventoryQuery, query));
  const listed = await Promise.all(
    secrets.map(async ({ shape, kmsKey: _key, ...secret }) => {
      const registered = (await ledger.idBySecret(secret.name)) !== undefined;
      if (shape.kind !== 'json') return { ...secret, shape, registered };
      const sighted = registered ? [] : sightings(await readers.of(secret.name), []);
      const about = { shape: { ...shape, keys: [...shape.keys] }, registered };
      return { ...secret, ...about, readers: sighted.map(readerView) };
    }),
  );
  return { status: 200, body: { secrets: listed, ...(next === undefined ? {} : { next }) } };
}
