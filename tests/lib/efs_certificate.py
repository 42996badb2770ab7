"""Client certificates as efs-utils shows them when it mounts, with every field to choose, so that tests can forge them.

make(directory, ...) writes cert.pem and key.pem there. The DER is put together here; keys and signatures are those of the
openssl command. What stands where, and what is signed how: src/auth/mount_certificate.h.
"""

import datetime
import hashlib
import hmac
import pathlib
import subprocess
import urllib.parse

OID_BASE = "1.3.6.1.4.1.4843.7."


def der(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        head = bytes([size])
    else:
        octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
        head = bytes([0x80 | len(octets)]) + octets
    return bytes([tag]) + head + body


def sequence(*parts):
    return der(0x30, *parts)


def integer(value):
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def utf8(text):
    return der(0x0C, text.encode())


def oid(text):
    numbers = [int(word) for word in text.split(".")]
    out = bytearray([numbers[0] * 40 + numbers[1]])
    for number in numbers[2:]:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        out += bytes(reversed(groups))
    return der(0x06, bytes(out))


def utc_time(moment):
    return der(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


def extension(number, value):
    return sequence(oid(OID_BASE + str(number)), der(0x04, value))


def openssl(*arguments, stdin=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=stdin, check=True, capture_output=True).stdout


def sign(credentials, region, fs_id, key_hash, moment):
    """The signature: SigV4, but for one line break before the list of headers where the standard has two."""
    key_id, secret, token = credentials
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{date}/{region}/elasticfilesystem/aws4_request"
    query = {"Action": "Connect", "PublicKeyHash": key_hash, "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
             "X-Amz-Credential": f"{key_id}/{scope}", "X-Amz-Date": time, "X-Amz-Expires": "86400",
             "X-Amz-SignedHeaders": "host"}
    if token:
        query["X-Amz-Security-Token"] = token
    text = "&".join(f"{name}={urllib.parse.quote_plus(query[name])}" for name in sorted(query))
    request = f"GET\n/\n{text}\nhost:{fs_id}\nhost\n{hashlib.sha256(b'').hexdigest()}"
    to_sign = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = ("AWS4" + secret).encode()
    for word in (date, region, "elasticfilesystem", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return hmac.new(key, to_sign.encode(), "sha256").hexdigest()


def make(directory, fs_id=None, access_point=None, credentials=None, region="us-east-1", now=None, **forged):
    """Writes cert.pem and key.pem; returns their paths. `credentials`: (key id, secret, session token or None).

    Forged: signed_at, not_before, not_after (datetimes), signature (text), key_id (shown, not signed), signed_fs (which
    is signed, not shown), key_hash.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    key_path, cert_path = directory / "key.pem", directory / "cert.pem"
    if not key_path.exists():  # as efs-utils, one of a host
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key_path)
        key_path.chmod(0o600)
    now = now or datetime.datetime.now(datetime.timezone.utc)
    key_info = openssl("pkey", "-in", key_path, "-pubout", "-outform", "DER")
    bits = key_info[key_info.index(b"\x03\x82") + 5:]  # after tag, length and the number of unused bits
    key_hash = hashlib.sha1(bits).hexdigest()
    extensions = []
    if access_point:
        extensions.append(extension(1, utf8(access_point)))
    if credentials:
        moment = forged.get("signed_at", now)
        signature = forged.get("signature") or sign(credentials, region, forged.get("signed_fs", fs_id),
                                                    forged.get("key_hash", key_hash), moment)
        parts = [utf8(forged.get("key_id", credentials[0])), der(0x04, signature.encode()), utc_time(moment)]
        if credentials[2]:
            parts.append(der(0xA0, utf8(credentials[2])))
        extensions.append(extension(2, sequence(*parts)))
    if fs_id:
        extensions += [extension(3, utf8(fs_id)), extension(4, sequence(utf8("unknown"), utf8("3.2.0")))]
    algorithm = sequence(oid("1.2.840.113549.1.1.11"), der(0x05))
    name = sequence(der(0x31, sequence(oid("2.5.4.3"), utf8("worker"))))
    valid = sequence(utc_time(forged.get("not_before", now - datetime.timedelta(minutes=15))),
                     utc_time(forged.get("not_after", now + datetime.timedelta(hours=3))))
    more = [der(0xA3, sequence(*extensions))] if extensions else []
    body = sequence(der(0xA0, integer(2)), integer(0), algorithm, name, valid, name, key_info, *more)
    signature = openssl("dgst", "-sha256", "-sign", key_path, stdin=body)
    whole = sequence(body, algorithm, der(0x03, b"\0", signature))
    cert_path.write_bytes(openssl("x509", "-inform", "DER", stdin=whole))
    return cert_path, key_path
