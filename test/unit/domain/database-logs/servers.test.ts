import { describe, expect, test } from 'vitest';
import {
  isLogOf,
  loginPlaceOf,
  placeLogin,
  type DatabaseLog,
  type LoginPlace,
} from '../../../../shared/domain/database-logs/servers.ts';

const group = (name: string, hosts: string[] = []): DatabaseLog => ({
  logGroupArn: `arn:aws:logs:eu-central-1:111122223333:log-group:${name}`,
  hosts,
});
const INSTANCE = group('/aws/rds/instance/orders/postgresql');
const OTHER = group('/aws/rds/instance/billing/postgresql');
const CLUSTER = group('/aws/rds/cluster/orders/postgresql');
const RDS = 'c9akciq32.eu-central-1.rds.amazonaws.com';
const place = (host: string, credentialId = 'c-1'): LoginPlace => ({
  credentialId,
  name: credentialId,
  host,
  port: 5432,
  logins: ['orders_a', 'orders_b'],
});

describe('a log is of a server', () => {
  test.each([
    ['an instance by its name', INSTANCE, 'orders.0', `orders.${RDS}`, true],
    ['not of another instance', INSTANCE, 'orders.0', `billing.${RDS}`, false],
    ['not of a cluster of the same name', INSTANCE, 'orders.0', `orders.cluster-${RDS}`, false],
    ['not in another region', INSTANCE, 'orders.0', `orders.${RDS.replace('central', 'west')}`, false],
    ['a cluster by its endpoint', CLUSTER, 'orders-1.0', `orders.cluster-${RDS}`, true],
    ['a cluster by the endpoint of its readers', CLUSTER, 'orders-1', `orders.cluster-ro-${RDS}`, true],
    ['an instance of a cluster by the stream', CLUSTER, 'orders-1.0', `orders-1.${RDS}`, true],
    ['nobody knows of another instance', CLUSTER, 'orders-2.0', `orders-1.${RDS}`, undefined],
    ['nobody knows of a custom endpoint', CLUSTER, 'orders-1', `any.cluster-custom-${RDS}`, undefined],
    ['nobody knows of a name of ones own', INSTANCE, 'orders.0', 'db.example.com', undefined],
    ['as the settings say', group('/pg', ['DB.example.com']), 'a', 'db.example.com', true],
    ['as the settings say of a port', group('/pg', ['db.example.com:5432']), 'a', 'db.example.com', true],
    ['not at another port', group('/pg', ['db.example.com:5433']), 'a', 'db.example.com', false],
  ] as const)('%s', (_text, log, stream, host, expected) => {
    expect(isLogOf(log, stream, place(host))).toBe(expected);
  });
});

describe('a login', () => {
  const logs = [INSTANCE, OTHER];

  test('is of the credential at its server, where two servers have the same name', () => {
    const places = [place(`orders.${RDS}`), place(`billing.${RDS}`, 'c-2')];
    expect(placeLogin('orders_a', INSTANCE, 'orders.0', places, logs)).toEqual({
      kind: 'of',
      place: places[0],
    });
    expect(placeLogin('orders_b', OTHER, 'billing.0', places, logs)).toEqual({
      kind: 'of',
      place: places[1],
    });
  });

  test('is a stranger where its credential is at another server, and where nobody has it', () => {
    const places = [place(`orders.${RDS}`)];
    expect(placeLogin('orders_a', OTHER, 'billing.0', places, logs)).toEqual({ kind: 'stranger' });
    expect(placeLogin('rdsadmin', INSTANCE, 'orders.0', places, logs)).toEqual({ kind: 'stranger' });
  });

  test('is undecided where nothing tells which server its credential is at', () => {
    const places = [place('db.example.com')];
    expect(placeLogin('orders_a', INSTANCE, 'orders.0', places, logs)).toEqual({
      kind: 'undecided',
      candidates: places,
    });
    const named = [INSTANCE, { ...OTHER, hosts: ['db.example.com'] }];
    expect(placeLogin('orders_a', INSTANCE, 'orders.0', places, named)).toEqual({ kind: 'stranger' });
  });

  test('is undecided where two credentials have it at one server', () => {
    const places = [place(`orders.${RDS}`), place(`orders.${RDS}`, 'c-2')];
    expect(placeLogin('orders_a', INSTANCE, 'orders.0', places, logs)).toMatchObject({ kind: 'undecided' });
  });
});

test('a credential logs in as both users, and as whatever its head has alive', () => {
  const head = {
    id: 'c-1',
    name: 'orders',
    type: 'database',
    provider: 'postgresql',
    target: { host: 'DB.example.com', port: 5432, users: ['orders_a', 'orders_b'] },
    live: [{ id: 'orders_old', generation: 1 }],
  };
  expect(loginPlaceOf(head)).toEqual({
    credentialId: 'c-1',
    name: 'orders',
    host: 'db.example.com',
    port: 5432,
    logins: ['orders_a', 'orders_b', 'orders_old'],
  });
  expect(loginPlaceOf({ ...head, type: 'llm-key', provider: 'openai' })).toBeUndefined();
  expect(loginPlaceOf({ ...head, target: 'of another version' })).toBeUndefined();
});
