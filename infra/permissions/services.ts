import { arn, type Grant } from './grant.ts';

export function start(machineArn: string): Grant[] {
  return [{ actions: ['states:StartExecution'], resources: [machineArn] }];
}

/** Answers a state that waits with a task token. */
export function answer(machineArn: string): Grant[] {
  return [{ actions: ['states:SendTaskSuccess'], resources: [machineArn] }];
}

/** Reads the status of the executions of the machine `name`. */
export function watch(name: string): Grant[] {
  return [
    {
      actions: ['states:DescribeExecution'],
      resources: [arn('states', `execution:${name}:*`)],
      wildcard: 'Executions are named at run time; the pattern is this one machine.',
    },
  ];
}

/** Reads whether state machines are there and active. */
export function describeMachines(machineArns: readonly string[]): Grant[] {
  return [{ actions: ['states:DescribeStateMachine'], resources: machineArns }];
}

export function invoke(aliasArn: string): Grant[] {
  return [{ actions: ['lambda:InvokeFunction'], resources: [aliasArn] }];
}

export function publish(busArn: string): Grant[] {
  return [{ actions: ['events:PutEvents'], resources: [busArn] }];
}

/** Lets Lambda feed the function from a queue. */
export function takeFrom(queueArn: string): Grant[] {
  return [
    {
      actions: ['sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage'],
      resources: [queueArn],
    },
  ];
}

/** Adds objects; never reads, deletes or sets a retention. */
export function appendObjects(bucketArn: string, prefix: string): Grant[] {
  return [
    {
      actions: ['s3:PutObject'],
      resources: [`${bucketArn}/${prefix}*`],
      wildcard: 'Objects are named at run time; the pattern is one prefix of one bucket.',
    },
  ];
}

export function readObjects(bucketArn: string, prefix: string): Grant[] {
  return [
    {
      actions: ['s3:GetObject'],
      resources: [`${bucketArn}/${prefix}*`],
      wildcard: 'Objects are named at run time; the pattern is one prefix of one bucket.',
    },
  ];
}

/** Deletes objects below one prefix of a bucket with versions: what was deleted stays for as long as the bucket keeps it. */
export function deleteObjects(bucketArn: string, prefix: string): Grant[] {
  return [
    {
      actions: ['s3:DeleteObject'],
      resources: [`${bucketArn}/${prefix}*`],
      wildcard: 'Objects are named at run time; the pattern is one prefix of one bucket.',
    },
  ];
}

/** Sees the names of objects below one prefix of a bucket. */
export function listObjects(bucketArn: string, prefix: string): Grant[] {
  return [
    {
      actions: ['s3:ListBucket'],
      resources: [bucketArn],
      conditions: { StringLike: { 's3:prefix': `${prefix}*` } },
    },
  ];
}
