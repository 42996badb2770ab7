#!/usr/bin/env python3
"""Writes seeds: seeds.py FOLDER, with a folder in it for each target.

fuzz_compound and fuzz_nfs4_xdr: the operations as the protocol tests encode them. fuzz_conversation: each paragraph of
conversations/*.txt is one conversation. A line is one step: its peer (0: 4.1, 1: 4.2, 2: 4.0, 3: 4.2 and not root), the operation, and bytes of struct step by
name (tests/fuzz/conversation.h), for which there are words: `f0` ... the file or name, `here` the filehandle that is
there, `as -2` the stateid before the last, `more` for the same COMPOUND, `cache`, `slot=1`, `again`.
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
PLACES = ["f0", "f1", "f2", "f3", "d", "l", "n0", "n1"]
CONTROLS = {"PAUSE": 0xF0, "RECONNECT": 0xF1, "RESTART": 0xF2, "CALLBACKS": 0xF3}
FIELDS = {"place": 2, "stateid": 3, "flags": 4, "offset": 5, "length": 6, "extra": 7}


def operations():
    rows = re.findall(r"^    \{ OP_(\w+),", (HERE / "conversation_ops.c").read_text(), re.M)
    return {name: number for number, name in enumerate(rows)}


def step_of(line, ops):
    words = line.split()
    step = bytearray(8)
    step[0] = CONTROLS[words[1]] if words[1] in CONTROLS else ops[words[1]]
    step[1] = int(words[0])
    words = words[2:]
    while words:
        word = words.pop(0)
        name, _, value = word.partition("=")
        if word in PLACES:
            step[2] = PLACES.index(word) << 3
        elif word == "here":
            step[2] |= 7
        elif word == "as":
            step[3] = -int(words.pop(0)) - 1
        elif word == "more":
            step[1] |= 0x04
        elif word == "cache":
            step[1] |= 0x08
        elif word == "again":
            step[1] |= 0x40
            step[7] |= 1
        elif name == "slot":
            step[1] |= int(value) << 4
        else:
            step[FIELDS[name]] = int(value, 0)
    return bytes(step)


def encoded_operations():
    """Requests for one operation each, well formed: of the file `a`, or of the root."""
    sys.path.insert(0, str(HERE.parent / "proto"))
    import nfs4
    import nfs40

    some = (1, bytes(12))  # the current stateid, of 4.1's OPEN before it
    of_file = [
        nfs4.getattr_(1, 3, 4, 33), nfs4.access(), nfs4.getfh(), nfs4.savefh(), nfs4.read(nfs4.ANONYMOUS, 0, 100),
        nfs4.write(nfs4.ANONYMOUS, 5, b"text"), nfs4.commit(), nfs4.setattr_({nfs4.SIZE: 3}), nfs4.setattr_({nfs4.MODE: 0o600}),
        nfs4.verify({nfs4.MODE: 0o644}), nfs4.nverify({nfs4.SIZE: 1}), nfs4.lockt(nfs4.READ_LT, 0, 10),
        nfs4.open_(b"", claim=nfs4.CLAIM_FH) + nfs4.lock(nfs4.WRITE_LT, 0, 9, some) + nfs4.locku(some, 0, 9),
        nfs4.open_(b"", claim=nfs4.CLAIM_FH) + nfs4.open_downgrade(some, nfs4.ACCESS_READ) + nfs4.close(some),
        nfs4.seek(nfs4.ANONYMOUS, 0, nfs4.HOLE), nfs4.allocate(nfs4.ANONYMOUS, 0, 99), nfs4.deallocate(nfs4.ANONYMOUS, 0, 9),
        nfs4.read_plus(nfs4.ANONYMOUS, 0, 99), nfs4.io_advise(nfs4.ANONYMOUS, 0, 9, [1]), nfs4.setxattr(b"user.x", b"value"),
        nfs4.getxattr(b"user.x"), nfs4.listxattrs(), nfs4.removexattr(b"user.x"),
        nfs4.savefh() + nfs4.copy(nfs4.ANONYMOUS, nfs4.ANONYMOUS, 0, 20, 5),
        nfs4.savefh() + nfs4.clone(nfs4.ANONYMOUS, nfs4.ANONYMOUS, 0, 0, 0), nfs4.savefh() + nfs4.putrootfh() + nfs4.link(b"n"),
        nfs4.offload_status(some), nfs4.offload_cancel(some), nfs4.free_stateid(some), nfs4.test_stateid(some),
    ]
    of_root = [
        nfs4.lookup(b"d") + nfs4.lookupp(), nfs4.lookup(b"l") + nfs4.readlink(), nfs4.readdir(attrs=[1, 4, 20]), nfs4.remove(b"a"),
        nfs4.create(b"n", nfs4.DIR, {nfs4.MODE: 0o755}), nfs4.create(b"s", nfs4.LNK, data=b"a"), nfs4.savefh() + nfs4.rename(b"a", b"b"),
        nfs4.open_(b"n", how=nfs4.UNCHECKED, values={nfs4.MODE: 0o644}), nfs4.open_(b"e", how=nfs4.EXCLUSIVE_1, verifier=bytes(8)),
        nfs4.secinfo(b"a"), nfs4.secinfo_no_name(), nfs4.reclaim_complete(), nfs4.exchange_id(b"o", bytes(8)),
        nfs4.create_session(1, 1), nfs4.destroy_session(bytes(16)), nfs4.destroy_clientid(1), nfs4.bind_conn(bytes(16)),
        nfs40.setclientid(b"o", bytes(8)), nfs40.renew(1),
    ]
    return [nfs4.lookup(b"a") + request for request in of_file], of_file, of_root


def policies():
    """Policies as users write them: fuzz_policy's JSON reader has no coverage to find such shapes by."""
    anyone = '"Principal":{"AWS":"*"},'
    someone = '"Principal":{"AWS":["arn:aws:iam::000000000000:user/ada","000000000000"]},'
    what = '"Action":["elasticfilesystem:Client*","elasticfilesystem:?"],"Resource":"*"'
    other = '"NotAction":"ec2:*","NotResource":["arn:aws:elasticfilesystem:*:*:file-system/fs-${aws:username}"]'
    conditions = [
        '"Bool":{"aws:SecureTransport":"false"}', '"IpAddress":{"aws:SourceIp":["10.0.0.0/8","fe80::/10"]}',
        '"StringLike":{"aws:username":["a*","${aws:username}?"]}', '"Null":{"aws:SourceIp":"true"}',
        '"ForAllValues:StringEqualsIfExists":{"aws:SourceIp":"x"}', '"NumericLessThan":{"aws:SourceIp":"5"}',
        '"DateGreaterThan":{"aws:SourceIp":"2026-01-01T00:00:00Z"}', '"ArnLike":{"aws:username":"arn:aws:iam::*:user/*"}',
    ]
    for number, condition in enumerate(conditions):
        who = (anyone, someone)[number % 2]
        statements = [f'{{"Effect":"Allow",{who}{what},"Condition":{{{condition}}}}}', f'{{"Sid":"s","Effect":"Deny",{who}{other}}}']
        yield f'{{"Version":"2012-10-17","Id":"i","Statement":[{",".join(statements)}]}}'
        yield f'{{"Version":"2012-10-17","Statement":{statements[0].replace(who, "")}}}'


def write(folder, name, seed):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(seed)


def main():
    folder = pathlib.Path(sys.argv[1])
    ops = operations()
    for path in sorted((HERE / "conversations").glob("*.txt")):
        for number, paragraph in enumerate(path.read_text().strip().split("\n\n")):
            lines = [line for line in paragraph.splitlines() if line and not line.startswith("#")]
            seed = b"".join(step_of(line, ops) for line in lines)
            write(folder / "fuzz_conversation", f"{path.stem}-{number}", seed)
    compounds, of_file, of_root = encoded_operations()
    for number, request in enumerate(compounds + of_root):
        write(folder / "fuzz_compound", str(number), b"\x11" + request)  # of 4.2, behind PUTROOTFH
    for number, request in enumerate(of_file + of_root):  # nfs_argop4: the first operation's arguments
        write(folder / "fuzz_nfs4_xdr", str(number), b"\0" + request[3:4] + request[4:])
    for number, policy in enumerate(policies()):
        seed = bytes([number % 4]) + policy.encode() + b"\0elasticfilesystem:ClientMount"
        write(folder / "fuzz_policy", str(number), seed)


if __name__ == "__main__":
    main()
