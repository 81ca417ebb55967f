"""boto3 in one long process: one line for each call, `ok` or the error."""

import sys
import time

import boto3

session = boto3.Session()
sts, ec2 = session.client("sts"), session.client("ec2")
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for call in (sts.get_caller_identity, ec2.describe_instances):
        try:
            call()
            print("ok", flush=True)
        except Exception as error:  # whatever it is, it is counted
            print(repr(error), flush=True)
    time.sleep(1)
