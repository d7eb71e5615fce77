# SPDX-License-Identifier: MIT
"""Certificates of every kind, good and bad, for the tests' origins."""

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def now():
    return datetime.datetime.utcnow()


def pem(what):
    return what.public_bytes(serialization.Encoding.PEM)


def alternative_name(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


@dataclass
class Minted:
    """A certificate and its key; it may sign others, whether it should or
    not."""
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self):
        return pem(self.certificate)

    @property
    def key_pem(self):
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())

    def revoke(self, *minted):
        """The CRL of this issuer, in PEM."""
        builder = (x509.CertificateRevocationListBuilder()
                   .issuer_name(self.certificate.subject)
                   .last_update(now() - DAY).next_update(now() + DAY))
        for each in minted:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(each.certificate.serial_number)
                .revocation_date(now() - DAY).build())
        return pem(builder.sign(self.key, hashes.SHA256()))


def mint(*names, issuer=None, is_ca=False, days=(-1, 30)):
    """A certificate for the names; self-signed where there is no issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    builder = (
        x509.CertificateBuilder().subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() + days[0] * DAY)
        .not_valid_after(now() + days[1] * DAY)
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True))
    if not is_ca:
        builder = builder.add_extension(x509.SubjectAlternativeName(
            [alternative_name(name) for name in names]), critical=False)
    signer = issuer.key if issuer else key
    return Minted(builder.sign(signer, hashes.SHA256()), key)
