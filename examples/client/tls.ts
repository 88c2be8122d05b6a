/**
 * Two agents over mutual TLS, here in one process. Set API (output AgentApi), DIRECTORY (output DirectoryUrl), CREDENTIAL (the
 * certificate authority, as declared) and SET (its target.name).
 */
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { sigV4 } from '@rekey/client/sigv4';
import { certificateAgent, createCertificates, peerId } from '@rekey/client/tls';

await using certificates = await createCertificates({
  api: process.env['API'] ?? 'http://localhost:8080',
  directory: process.env['DIRECTORY'] ?? 'http://localhost:8080',
  credential: process.env['CREDENTIAL'] ?? 'shop-ca',
  set: process.env['SET'] ?? 'shop',
  instance: `host-${process.pid}`,
  // The configuration of any client of the AWS SDK.
  sign: sigV4(new SecretsManagerClient().config),
  on: { renewalFailed: ({ error }) => console.error(`no new certificate yet: ${error.message}`) },
});

// The server: it has the present certificate and bundle from now on, also after the next rotation.
const server = createServer(certificates.serverOptions(), (incoming, response) => {
  response.end(`hello, ${peerId(incoming.socket as TLSSocket)}`);
});
certificates.serve(server);
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

// The client: it talks to this one peer, wherever that is reached.
const agent = certificateAgent(certificates, certificates.current().id);
const { port } = server.address() as AddressInfo;
const text = await new Promise<string>((resolve, reject) => {
  request({ host: '127.0.0.1', port, agent }, (response) => {
    response.setEncoding('utf8').on('data', resolve).on('error', reject);
  })
    .on('error', reject)
    .end();
});
console.log(text);
agent.destroy();
server.close();
