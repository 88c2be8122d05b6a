import type { Home } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import { EVENT_SOURCE, EVENT_VERSION } from '../names.ts';
import type { EventPublisher } from '../ports/events.ts';
import type { AwsCalls } from './aws-client.ts';

/** Rekey's event bus on EventBridge. */
export class EventBridgePublisher implements EventPublisher {
  readonly #aws: AwsCalls;
  readonly #bus: string;
  readonly #home: Home;

  constructor(options: { aws: AwsCalls; bus: string; home: Home }) {
    this.#aws = options.aws;
    this.#bus = options.bus;
    this.#home = options.home;
  }

  async publish(detailType: string, detail: object): Promise<void> {
    const answer = await this.#aws.json<{ FailedEntryCount?: number }>('events', 'PutEvents', {
      Entries: [
        {
          EventBusName: this.#bus,
          Source: EVENT_SOURCE,
          DetailType: detailType,
          Detail: JSON.stringify({ version: EVENT_VERSION, ...this.#home, ...detail }),
        },
      ],
    });
    if ((answer.FailedEntryCount ?? 0) > 0) {
      throw new RekeyError('ERR_UNAVAILABLE', `the event bus refused "${detailType}"`);
    }
  }
}
