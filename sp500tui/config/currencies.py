"""Currencies: the ISO 4217 codes that prices can be converted into, and Yahoo's codes for minor units."""

from __future__ import annotations

from difflib import get_close_matches

_IN_CIRCULATION = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD
    CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
    GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT
    LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR
    NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
    STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG
    XOF XPF YER ZAR ZMW ZWG
"""
_WITHOUT_MARKET_RATE = (
    "BOV CHE CHW CLF COU MXV USN UYI UYW XAD XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX"
)

CURRENCIES = frozenset(_IN_CIRCULATION.split())
"""Codes of money in circulation (ISO 4217 list one, funds and metals left out)."""

MINOR_UNITS = {"GBp": "GBP", "GBX": "GBP", "ZAc": "ZAR", "ZAC": "ZAR", "ILA": "ILS"}
"""Codes that Yahoo uses for a hundredth of a currency, with that currency. Their case is significant."""


def validate_currency(text: str) -> str:
    """The upper-case code; raises ValueError with the reason and the remedy."""
    written = text.strip()
    code = written.upper()
    if minor := MINOR_UNITS.get(written) or MINOR_UNITS.get(code):
        raise ValueError(f"is a hundredth of a currency; give {minor}")
    if code in CURRENCIES:
        return code
    if code in _WITHOUT_MARKET_RATE.split():
        raise ValueError("is an ISO 4217 code without a market rate; give a currency such as DKK or EUR")
    same_country = sorted(known for known in CURRENCIES if known[:2] == code[:2])
    near = get_close_matches(code, same_country, n=1, cutoff=0.6)
    remedy = f"did you mean {near[0]}?" if near else "give one such as DKK or EUR"
    raise ValueError(f"is not an ISO 4217 currency code; {remedy}")
