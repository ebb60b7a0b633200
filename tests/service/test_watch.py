"""What is counted of requests: a fixed set of series, whatever clients send."""

from __future__ import annotations

from ifvit.service.watch import METHODS


def series_of(client) -> set[str]:
    lines = client.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0] for line in lines if line.startswith("ifvit_requests_total{")}


def test_methods_that_clients_invent_make_one_series(client_of, caplog):
    caplog.set_level("INFO", "ifvit")
    client = client_of()
    for number in range(30):
        client.request("INVENTED" + number * "X", "/health")
    invented = [one for one in series_of(client) if 'method="other"' in one]
    assert len(invented) == 1 and 'route="/health"' in invented[0]
    assert "INVENTED" not in client.get("/metrics").text + caplog.text


def test_methods_that_there_are_keep_their_names(client_of):
    client = client_of()
    for method in METHODS:
        client.request(method, "/health")
    told = " ".join(series_of(client))
    assert all(f'method="{method}"' in told for method in METHODS)
