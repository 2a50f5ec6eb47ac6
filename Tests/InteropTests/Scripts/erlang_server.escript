#!/usr/bin/env escript
%% An SSH server of Erlang's that forwards whatever it is asked to, for whoever has the key.
%%
%% usage: erlang_server.escript PORT AUTHORIZED_KEYS REKEY_BYTES HOST_KEY...
%%! -noinput
-mode(compile).
-behaviour(ssh_server_key_api).
-export([host_key/2, is_auth_key/3]).

main([Port, Authorized, RekeyBytes | HostKeys]) ->
    {ok, _} = application:ensure_all_started(ssh),
    Keys = maps:from_list([{Algorithm, Key} || Path <- HostKeys, Key <- [private(Path)], Algorithm <- algorithms(Key)]),
    {ok, Lines} = file:read_file(Authorized),
    Known = [Key || {Key, _} <- ssh_file:decode(Lines, auth_keys)],
    {ok, _} = ssh:daemon({127, 0, 0, 1}, list_to_integer(Port), [
        {key_cb, {?MODULE, [{keys, Keys}, {known, Known}]}},
        {preferred_algorithms, [{public_key, maps:keys(Keys)}]},
        {auth_methods, "publickey"},
        {tcpip_tunnel_in, true},
        {tcpip_tunnel_out, true},
        {rekey_limit, {infinity, list_to_integer(RekeyBytes)}}
    ]),
    io:format(standard_error, "listening~n", []),
    timer:sleep(infinity).

private(Path) ->
    {ok, Text} = file:read_file(Path),
    [{Key, _} | _] = ssh_file:decode(Text, openssh_key_v1),
    Key.

%% The records' headers are in a package of their own.
algorithms(Key) when element(1, Key) =:= 'RSAPrivateKey' -> ['rsa-sha2-512', 'rsa-sha2-256'];
algorithms(Key) when element(1, Key) =:= 'ECPrivateKey' ->
    case element(4, Key) of
        {namedCurve, {1, 3, 101, 112}} -> ['ssh-ed25519'];
        {namedCurve, {1, 2, 840, 10045, 3, 1, 7}} -> ['ecdsa-sha2-nistp256'];
        {namedCurve, {1, 3, 132, 0, 34}} -> ['ecdsa-sha2-nistp384'];
        {namedCurve, {1, 3, 132, 0, 35}} -> ['ecdsa-sha2-nistp521']
    end.

host_key(Algorithm, Options) ->
    case maps:find(Algorithm, private_option(keys, Options)) of
        error -> {error, none};
        Found -> Found
    end.

is_auth_key(Key, _User, Options) -> lists:member(Key, private_option(known, Options)).

private_option(Name, Options) -> proplists:get_value(Name, proplists:get_value(key_cb_private, Options)).
