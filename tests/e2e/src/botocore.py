"""What the AWS CLI and boto3 do with ~/.aws/sso/cache, by botocore's own classes: `botocore.py VERB ARGUMENT…`."""

import datetime
import json
import os
import sys
import threading
import time

import boto3
import botocore.session
from botocore.tokens import SSOTokenProvider, _sso_json_dumps
from botocore.utils import JSONFileCache, SSOTokenLoader

FOLDER = os.path.expanduser("~/.aws/sso/cache")
loader = SSOTokenLoader(JSONFileCache(FOLDER, dumps_func=_sso_json_dumps))
# Sixty threads leave something of the machine to those they are to disturb.
PACE = 0.002


def names(*keys):
    """The file of each session name or start URL."""
    return [loader._generate_cache_key(key, None) + ".json" for key in keys]


def login(name, start_url, region):
    """`aws sso login`, for a person who allows it at once."""
    oidc = boto3.client("sso-oidc", region_name=region)
    client = oidc.register_client(clientName="botocore-client-" + name, clientType="public",
                                  scopes=["sso:account:access"])
    who = dict(clientId=client["clientId"], clientSecret=client["clientSecret"])
    asked = oidc.start_device_authorization(startUrl=start_url, **who)
    granted = oidc.create_token(grantType="urn:ietf:params:oauth:grant-type:device_code",
                                deviceCode=asked["deviceCode"], **who)
    now = datetime.datetime.now(datetime.timezone.utc)
    end = datetime.datetime.fromtimestamp(client["clientSecretExpiresAt"], datetime.timezone.utc)
    loader.save_token(start_url, {
        "startUrl": start_url, "region": region, "accessToken": granted["accessToken"],
        "expiresAt": now + datetime.timedelta(seconds=granted["expiresIn"]),
        "registrationExpiresAt": end, "refreshToken": granted["refreshToken"], **who,
    }, session_name=name)


def renew(profile, name):
    """Uses the token of a profile until botocore has written one that ends later."""
    session = botocore.session.Session(profile=profile)
    first = loader(None, session_name=name)["expiresAt"]
    while loader(None, session_name=name)["expiresAt"] == first:
        SSOTokenProvider(session).load_token().get_frozen_token()


def identity(profile):
    """Whose credentials a profile gives."""
    return boto3.Session(profile_name=profile).client("sts").get_caller_identity()["Account"]


def provider(profile):
    """Which of botocore's providers answers for a profile, or which error it is."""
    try:
        credentials = botocore.session.Session(profile=profile).get_credentials()
    except Exception as error:
        return type(error).__name__
    return credentials and credentials.method


def commands():
    """The version of the AWS CLI that is installed here, and every command in its own tables."""
    from awscli import __version__
    from awscli.clidriver import create_clidriver
    found = []
    for service, command in create_clidriver()._get_command_table().items():
        table = getattr(command, "subcommand_table", None) or command._get_command_table()
        found += [f"{service} {word}" for word in table]
    return {"version": __version__, "commands": found}


def crowd(stop, whole, overwritten, theirs):
    """Twenty readers of whole files, twenty writers of files that others write too, and twenty of their own files,
    until the file `stop` is there. What failed; empty when nothing did."""
    failed, reads = [], []

    def until_stopped(work):
        def run(number):
            try:
                while True:
                    last = os.path.exists(stop)
                    work(number)
                    if last:
                        return
                    time.sleep(PACE)
            except Exception as error:
                failed.append(f"{work.__name__} {number}: {error!r}")
        return run

    def write_in_place(file, value):
        # As the AWS CLI v2 writes.
        with os.fdopen(os.open(os.path.join(FOLDER, file), os.O_WRONLY | os.O_CREAT, 0o600), "w") as opened:
            opened.truncate()
            opened.write(json.dumps(value))

    def token(end):
        return {"accessToken": "theirs", "expiresAt": end, "refreshToken": "r", "clientId": "c", "clientSecret": "s"}

    def read(number):
        name = whole[number % len(whole)]
        there = loader(None, session_name=name)
        if sorted(there) != ["accessToken", "expiresAt", "region", "startUrl"]:
            raise ValueError(sorted(there))
        reads.append(name)

    def write_the_same(number):
        every = overwritten + theirs
        name = every[number % len(every)]
        end = "2020-01-01T00:00:00Z" if name in overwritten else "2100-01-01T00:00:00Z"
        write_in_place(names(name)[0], token(end))

    written = {}

    def write_others(number):
        file = f"other-{number}.json"
        written[file] = {"number": number, "round": written.get(file, {"round": 0})["round"] + 1}
        write_in_place(file, written[file])

    for name in theirs:
        write_in_place(names(name)[0], token("2100-01-01T00:00:00Z"))
    threads = [threading.Thread(target=until_stopped(work), args=(number,))
               for work in (read, write_the_same, write_others) for number in range(20)]
    for thread in threads:
        thread.start()
    print("started", flush=True)
    for thread in threads:
        thread.join()
    for file, value in written.items():
        with open(os.path.join(FOLDER, file)) as opened:
            if opened.read() != json.dumps(value):
                failed.append(f"{file} is not as it was written")
    for name in theirs:
        if loader(None, session_name=name) != token("2100-01-01T00:00:00Z"):
            failed.append(f"the newer token of {name} was lost")
    return {"failed": failed, "reads": len(reads)}


VERBS = {verb.__name__: verb for verb in (names, login, renew, identity, provider, commands, crowd)}
print(json.dumps(VERBS[sys.argv[1]](*map(json.loads, sys.argv[2:]))))
