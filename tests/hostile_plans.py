"""Attacks on a plan of the cache, and words that its refusal holds, for the readers of every language.

Each takes the path of a plan whose content is `PLAN` and that of the secret, and does something to them.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from flowtell._plan_cache import FORMAT

PLAN = b"fake plan"


def swap_plan(path, secret):
    path.write_bytes(path.read_bytes()[: -len(PLAN)] + PLAN[::-1])


def edit_key(path, secret):
    before, after = path.read_bytes().split(b'"precision":"fp32"')
    path.write_bytes(before + b'"precision":"fp16"' + after)


def cut_short(path, secret):
    path.write_bytes(path.read_bytes()[:-1])


def cut_to_nothing(path, secret):
    path.write_bytes(b"")


def cut_inside_the_code(path, secret):
    path.write_bytes(path.read_bytes()[: len(FORMAT) + 20])


def append(path, secret):
    path.write_bytes(path.read_bytes() + b"\0")


def bare_plan(path, secret):
    path.write_bytes(PLAN)


def code_by_another_secret(path, secret):
    rest = path.read_bytes()[len(FORMAT) + 65 :]
    code = hmac.new(b"elsewhere" * 4, rest, "sha256").hexdigest().encode()
    path.write_bytes(FORMAT + code + b"\n" + rest)


def plain_hash_for_a_code(path, secret):
    rest = path.read_bytes()[len(FORMAT) + 65 :]
    path.write_bytes(FORMAT + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)


def link(path, secret):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def hard_link(path, secret):
    path.with_name("second").hardlink_to(path)


def pipe(path, secret):
    path.unlink()
    os.mkfifo(path)


def folder(path, secret):
    path.unlink()
    path.mkdir()


def others_may_write(path, secret):
    path.chmod(0o622)


def secret_gone(path, secret):
    secret.unlink()


def secret_renewed(path, secret):
    secret.write_bytes(bytes(32))


def secret_short(path, secret):
    secret.write_bytes(secret.read_bytes()[:16])


def secret_that_others_read(path, secret):
    secret.chmod(0o644)


def secret_linked(path, secret):
    secret.rename(secret.with_name("moved"))
    secret.symlink_to("moved")


ATTACKS = {
    swap_plan: "was not made here",
    edit_key: "was not made here",
    cut_short: "was not made here",
    append: "was not made here",
    code_by_another_secret: "was not made here",
    plain_hash_for_a_code: "was not made here",
    secret_renewed: "was not made here",
    cut_inside_the_code: "was not made here",
    cut_to_nothing: "is no plan that this flowtell reads",
    bare_plan: "is no plan that this flowtell reads",
    link: "is a link",
    hard_link: "has another name elsewhere",
    pipe: "is no regular file",
    folder: "is no regular file",
    others_may_write: "others can write to it",
    secret_gone: "no plan was made here before",
    secret_short: "is no secret of 32 bytes",
    secret_that_others_read: "is no secret of 32 bytes",
    secret_linked: "is a link",
}
