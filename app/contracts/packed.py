"""A car's JSON as it is kept by the thousand: packed to a third, for the few that are shown.

Raw deflate (RFC 1951) that is told beforehand what every car says, so that only its own words
take room. What is packed is never stored or sent: the words may change with any version.
"""

from __future__ import annotations

import zlib
from typing import Final

_SAID_BY_ALL: Final = (
    b'null,"used","new","hybrid","plugin_hybrid","petrol","diesel","electric","manual","automatic"'
    b',"estate","sedan","hatchback","coupe","convertible","mpv","van","pickup","suv","awd","rwd"'
    b',"fwd","other","white","black","grey","silver","blue","red","green","EUR","DKK","NOK","USD"'
    b'{"car_id":"car_","model_id":"","title":"Ellevar Linje 2026","make":"Ellevar","model_name":"'
    b'","trim":"Linje","model_year":2026,"body":"suv","fuel":"electric","drivetrain":"awd","trans'
    b'mission":"automatic","power_kw":150,"seats":5,"condition":"new","odometer_km":12,"wltp":{"c'
    b'onsumption_l_100km":null,"energy_kwh_100km":15.4,"co2_g_km":0,"electric_range_km":495},"col'
    b'our":{"family":"blue","name":"","hex":"#","code":"101"},"price":{"amount":00,"currency":"SE'
    b'K"},"list_price":null,"vat_rate":"0.25","features":[""],"market":"SE","dealer":{"dealer_id"'
    b':"SE-","name":"Ellevar ","city":"","lat":59.3,"lon":18.0,"distance_km":null},"state":"avail'
    b'able","ready_for_handover_at":null,"ready_today":false}'
)
_WINDOW: Final = -12
"""4 KiB: the words, and most cars."""


def pack(car: bytes) -> bytes:
    packer = zlib.compressobj(wbits=_WINDOW, memLevel=5, zdict=_SAID_BY_ALL)
    return packer.compress(car) + packer.flush()


def unpack(packed: bytes) -> bytes:
    return zlib.decompressobj(wbits=_WINDOW, zdict=_SAID_BY_ALL).decompress(packed)
