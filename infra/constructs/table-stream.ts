import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping, FilterCriteria, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { SqsDlq } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { HandlerFunction } from './handler-function.ts';

export interface TableStreamProps {
  readonly streamArn: string;
  readonly target: HandlerFunction;
  /** Takes the position of records that no retry could save: a bad record must not block its shard. */
  readonly deadLetters: IQueue;
  /** A record that matches any of them is delivered. */
  readonly filters: readonly Record<string, unknown>[];
}

/** Feeds a function from the ledger's stream: at least once, in order per item. */
export class TableStream extends Construct {
  constructor(scope: Construct, id: string, { streamArn, target, deadLetters, filters }: TableStreamProps) {
    super(scope, id);
    new EventSourceMapping(this, 'Mapping', {
      target: target.live,
      eventSourceArn: streamArn,
      startingPosition: StartingPosition.TRIM_HORIZON,
      batchSize: 100,
      bisectBatchOnError: true,
      reportBatchItemFailures: true,
      // The stream keeps records for 24 hours; what has failed for six belongs in front of a person.
      retryAttempts: 20,
      maxRecordAge: Duration.hours(6),
      onFailure: new SqsDlq(deadLetters),
      filters: filters.map((filter) => FilterCriteria.filter(filter)),
    });
  }
}
