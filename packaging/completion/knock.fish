# fish completion for knock
complete -c knock -f
complete -c knock -n 'test (count (commandline -opc)) -eq 1' -a '(__fish_print_hostnames)' -d host
complete -c knock -s u -l udp -d 'UDP to all ports'
complete -c knock -s d -l delay -x -d 'milliseconds between two ports'
complete -c knock -s 4 -l ipv4 -d 'IPv4 only'
complete -c knock -s 6 -l ipv6 -d 'IPv6 only'
complete -c knock -l interface -x -a '(command ls /sys/class/net)' -d 'send through'
complete -c knock -l source -x -d 'send from'
complete -c knock -s v -l verbose -d 'say what is sent'
complete -c knock -s V -l version -d 'print the version'
complete -c knock -s h -l help -d 'print the usage'
