# reverse.pl: its standard input back to front. The command gearman gives its words to a shell, unquoted.
local $/;
binmode STDIN;
binmode STDOUT;
print scalar reverse <STDIN>;
