/** Direction of imports (docs/architecture.md). A folder may import only what its rule doesn't forbid. */
const forbid = (name, from, to, comment) => ({
  name,
  severity: 'error',
  comment,
  from: { path: from },
  to: { path: to },
});

export default {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    forbid(
      'domain-is-pure',
      '^shared/domain',
      '^(shared/(ports|engine|providers|adapters|api)|lambdas|infra|cli|client|local)|node_modules/(?!canonicalize|zod)',
      'domain decides on values: no I/O, no ports',
    ),
    forbid(
      'ports-know-domain',
      '^shared/ports',
      '^shared/(engine|providers|adapters|api)',
      'ports are interfaces over domain values',
    ),
    forbid(
      'engine-knows-the-contract-only',
      '^shared/engine',
      '^shared/(adapters|api|providers/(?!provider\\.ts))|node_modules',
      'the engine sequences through ports and the provider contract',
    ),
    forbid(
      'provider-knows-the-contract-only',
      '^shared/providers/[^/]+/',
      '^shared/(engine|adapters|ports|api)',
      'a provider does single steps',
    ),
    forbid(
      'x509-knows-ports',
      '^shared/x509',
      '^shared/(engine|adapters|api|providers|http)',
      'certificates are built from values, and signed through a port',
    ),
    forbid(
      'adapters-know-ports',
      '^shared/adapters',
      '^shared/(engine|providers|api)',
      'adapters implement ports',
    ),
    forbid(
      'shared-is-free-of-the-rest',
      '^shared',
      '^(lambdas|infra|cli|client|local|test)/',
      'shared runs everywhere',
    ),
    forbid(
      'no-cdk-outside-infra',
      '^(shared|lambdas|cli|client|scripts)',
      'node_modules/(aws-cdk-lib|constructs|cdk-nag)',
      'CDK stays in infra',
    ),
    forbid(
      'infra-names-handlers-by-path',
      '^infra',
      '^(lambdas|cli|local|shared/(?!names\\.ts|domain|version\\.ts))',
      'infra shares names and values only',
    ),
    forbid('lambdas-compose', '^lambdas', '^(infra|cli|local|test)/', 'functions know shared only'),
    forbid(
      'cli-has-no-power',
      '^cli',
      '^(shared/(?!domain|api|names\\.ts|version\\.ts)|lambdas|infra|local)',
      'the CLI calls the API',
    ),
    forbid(
      'client-stands-alone',
      '^client',
      '^(shared|lambdas|infra|cli|local|scripts|test|examples)/|node_modules/(?!@types/|@aws-sdk/client-secrets-manager/|@aws-sdk/client-sqs/|@smithy/signature-v4/|@modelcontextprotocol/sdk/|pg/|mysql2/)',
      'agents embed the client: it has nothing of the rest, and of packages only its peers',
    ),
    forbid(
      'product-is-free-of-tests',
      // `npm run local -- --keys` and `npm run tabletop` show the stand-ins that the tests have.
      '^(shared|client|lambdas|infra|cli|local(?!/(keys|signals|tabletop/[a-z]+)\\.ts$)|scripts)',
      '^test/',
      'tests import the product',
    ),
    {
      name: 'no-dev-dependency-at-run-time',
      severity: 'error',
      from: { path: '^(shared|lambdas|cli)' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(\\.cache|cdk\\.out|node_modules/\\.)' },
    includeOnly: '^(shared|lambdas|infra|cli|client|local|scripts|test|examples|node_modules)',
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
