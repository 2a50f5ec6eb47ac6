#!/usr/bin/env escript
%% The SSH daemon of Erlang that forwards whatever it is asked to, for whoever has the key.
%%
%% usage: erlang_server.escript PORT AUTHORIZED_KEYS REKEY_BYTES HOST_KEY...
-mode(compile).

main([Port, Authorized, RekeyBytes | HostKeys]) ->
    {ok, _} = application:ensure_all_started(ssh),
    Directory = filename:join(filename:dirname(Authorized), "erlang"),
    ok = filelib:ensure_dir(filename:join(Directory, "any")),
    {ok, _} = file:copy(Authorized, filename:join(Directory, "authorized_keys")),
    %% The daemon looks for its keys by their types' names.
    [begin
         Name = case filename:basename(Path) of
             "host" -> "ssh_host_ed25519_key";
             "ecdsa256" -> "ssh_host_ecdsa_key";
             "rsa2048" -> "ssh_host_rsa_key";
             Other -> Other
         end,
         {ok, _} = file:copy(Path, filename:join(Directory, Name))
     end || Path <- HostKeys],
    {ok, _} = ssh:daemon({127, 0, 0, 1}, list_to_integer(Port), [
        {system_dir, Directory}, {user_dir, Directory}, {auth_methods, "publickey"},
        {tcpip_tunnel_in, true}, {tcpip_tunnel_out, true}, {no_auth_needed, false},
        {rekey_limit, {infinity, list_to_integer(RekeyBytes)}}
    ]),
    io:format(standard_error, "listening~n", []),
    receive never -> ok end.
