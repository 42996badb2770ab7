"""kTLS: where the kernel knows TLS it encrypts what shoald sends. The guest's does (module tls); this machine's need not."""

import pytest

import shoal_server


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_the_kernel_takes_encryption_over(client, version):
    if client.call("ktls.counters") is None:
        pytest.skip("the guest's kernel knows no TLS")
    before, after, same = client.call("ktls.read_by_tls", str(shoal_server.find_program("shoald")),
                                      str(shoal_server.find_program("shoal")), version)
    assert same
    assert after["TlsTxSw"] > before["TlsTxSw"], "the kernel sends, the test's own end does not ask it to"
    assert after["TlsDecryptError"] == before["TlsDecryptError"]
