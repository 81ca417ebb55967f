// The AWS SDK for JavaScript in one long process: one line for each call, `ok` or the error.

import { setTimeout } from "node:timers/promises";
import { DescribeInstancesCommand, EC2Client } from "@aws-sdk/client-ec2";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { fromNodeProviderChain } from "@aws-sdk/credential-providers";

const credentials = fromNodeProviderChain();
const calls = [
  [new STSClient({ credentials }), new GetCallerIdentityCommand({})],
  [new EC2Client({ credentials }), new DescribeInstancesCommand({})],
];
const end = performance.now() + 1000 * Number(process.argv[2]);
while (performance.now() < end) {
  for (const [client, command] of calls) {
    try {
      await client.send(command);
      console.log("ok");
    } catch (error) {
      console.log(String(error).replaceAll("\n", " "));
    }
  }
  await setTimeout(1000);
}
