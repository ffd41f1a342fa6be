finbenchOutcomes({
"task": "fin_xbrl_values",
"letters": "#$%'()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~",
"sets": [
{
"prefix": "xbrl_values-test-",
"ids": "1\n6\n13\n14\n17\n22\n25\n28\n32\n41\n42\n46\n51\n53\n57\n59\n60\n62\n65\n67\n74\n75\n76\n77\n85\n86\n87\n88\n89\n91\n92\n100\n101\n103\n105\n106\n111\n112\n115\n119",
"clusters": "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 9 17 18 19 20 21 22 23 24 25 20 26 27 1 28 2 29 30 6 31 28 32 25",
"answers": [
"91e892af6b9c4511",
"44a05ba574d6187e",
"4861b1c126a26128",
"cc38ff979d7133a3",
"a5689384453251a8",
"dd9ee7e6cd5dcdb0",
"da129fc2b11a788c",
"ef78de5621f4e91e",
"aebfc3e90e634a9f",
"157ecc6c0d8dd3ec",
"25bd5b5882b760db",
"2a309ecfea7ca3a8",
"32cab86ffbcbf7fa",
"e4c7125f070649a1",
"6c14a674da980450",
"7d1ea9c1e02be475",
"ae019925441d466f",
"6eab0bc66767857a",
"8d750f0d44ce602c",
"6d5ab89f4c1a2516",
"77417b27222b43f1",
"b856d84a84bc4f5c",
"7bb945c30b1267f8",
"03a47e6bb54c98a9",
"5e73fa9580ce81b3",
"0501caf2395072e5",
"2bb3225a165503aa",
"0dd1417bf410b810",
"53824b9f491bbb8d",
"14d417e2a1170f1d",
"e91e016e2f3f09db",
"dc06c9cc1ce11514",
"3cbfb268ff4b0f26",
""
],
"width": 1,
"golds": "#$%'()*+,-./01234-56789:;=?8@A$B%CD*EBF?",
"cells": {
"6606d1bea9ca": "GGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGG",
"00d06228e9d0": "GGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGG"
},
"right": {}
}
]
});
